"""Notices budgets that were crossed unnoticed, and sends what is due: by cron, or as a worker."""

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
"""Seconds between two looks at the outbox."""
LOOKS_FOR_EACH_EVALUATION = 12


class Command(BaseCommand):
    help = "Evaluate every budget and send the alerts that are due; --loop does so until it is stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--loop", action="store_true", help="go on until SIGTERM or SIGINT")

    def handle(self, *, loop: bool, **options: Any) -> None:
        if loop:
            return self._loop()
        crossings.evaluate_all()
        self._report(outbox.send_due())
        return None

    def _loop(self) -> None:
        stopped = _on_signals()
        look = 0
        while not stopped.is_set():
            self._look(evaluating=look % LOOKS_FOR_EACH_EVALUATION == 0, stopped=stopped)
            look += 1
            stopped.wait(PAUSE)

    def _look(self, *, evaluating: bool, stopped: threading.Event) -> None:
        close_old_connections()
        try:
            if evaluating:
                crossings.evaluate_all()
            self._report(outbox.send_due(stopped.is_set))
        except Exception:  # a database that restarts, say: the next look may find it
            log.exception("Alerts could not be sent; the next look is in %s seconds.", PAUSE)

    def _report(self, became: Counter[str]) -> None:
        if became:
            told = ", ".join(f"{number} {state}" for state, number in sorted(became.items()))
            self.stdout.write(told)


def _on_signals() -> threading.Event:
    """Set by a polite end: the message under way is sent to its end, and its outcome written."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    return stopped
