"""Evaluates every budget and sends the alerts that are due, once (for cron) or in a loop (as a worker)."""

import logging
import signal
import threading
from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand
from django.db import close_old_connections

from billing.alerts import crossings, outbox

log = logging.getLogger(__name__)

PAUSE = 5
"""Seconds between two rounds."""
ROUNDS_PER_EVALUATION = 12


class Command(BaseCommand):
    help = "Evaluate every budget and send the alerts that are due; --loop repeats this until it is stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--loop", action="store_true", help="repeat until SIGTERM or SIGINT")

    def handle(self, *, loop: bool, **options: Any) -> None:
        if loop:
            return self._loop()
        crossings.evaluate_all()
        self._report(outbox.send_due())
        return None

    def _loop(self) -> None:
        stopped = _on_signals()
        rounds = 0
        while not stopped.is_set():
            self._round(evaluating=rounds % ROUNDS_PER_EVALUATION == 0, stopped=stopped)
            rounds += 1
            stopped.wait(PAUSE)

    def _round(self, *, evaluating: bool, stopped: threading.Event) -> None:
        close_old_connections()
        try:
            if evaluating:
                crossings.evaluate_all()
            self._report(outbox.send_due(stopped.is_set))
        except Exception:  # such as a restarting database, which may be back in the next round
            log.exception("Alerts could not be sent; the next attempt is in %s seconds.", PAUSE)

    def _report(self, outcomes: Counter[str]) -> None:
        if outcomes:
            text = ", ".join(f"{number} {state}" for state, number in sorted(outcomes.items()))
            self.stdout.write(text)


def _on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set. A message that is being sent is finished first."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    return stopped
