"""The server for production: Granian, with no more processes than the database bears."""

import os
import sys
import tempfile
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

MOST_WORKERS = 4
THREADS = 4
PATIENCE = 15
"""Seconds from SIGTERM to the end of whatever is still being answered."""
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class Command(BaseCommand):
    help = (
        "Check the settings as for deployment, and serve. One process on SQLite, on PostgreSQL one for "
        f"each processor, at most {MOST_WORKERS}."
    )
    requires_system_checks = []  # those for deployment are run below

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--workers", type=int, help="processes")
        parser.add_argument("--threads", type=int, default=THREADS, help="of each process")

    def handle(self, *, host: str, port: int, workers: int | None, threads: int, **_: Any) -> None:
        self.check(include_deployment_checks=not settings.DEBUG)
        workers = workers or _workers()
        if workers > 1 and connection.vendor == "sqlite":
            # Its writers take turns within a process only (`billing.ledger.sqlite_lock`).
            raise CommandError("On SQLite serve with one process; PostgreSQL bears more.")
        self.stdout.write(f"http://{host}:{port}, processes: {workers}, threads of each: {threads}")
        self.stdout.flush()
        # In place of this process: signals reach the server, and no connection is shared.
        os.execve(sys.executable, _command(host, port, workers, threads), _environment(workers))  # noqa: S606


def _workers() -> int:
    return 1 if connection.vendor == "sqlite" else min(os.cpu_count() or 1, MOST_WORKERS)


def _command(host: str, port: int, workers: int, threads: int) -> list[str]:
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--log-level", "warning"),
        *("--host", host, "--port", str(port), "--workers", str(workers)),
        *("--blocking-threads", str(threads), "--respawn-failed-workers"),
        # A worker that does not end by itself, with a request that never does, ends then.
        *("--workers-kill-timeout", str(PATIENCE)),
        "aicost.wsgi:application",
    ]


def _environment(workers: int) -> dict[str, str]:
    """Several processes count in one folder; a new one, for counts begin anew with the server."""
    if workers == 1 or os.environ.get(METRICS_FOLDER):
        return dict(os.environ)
    return {**os.environ, METRICS_FOLDER: tempfile.mkdtemp(prefix="aicost-metrics-")}
