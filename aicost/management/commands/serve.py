"""Run the production server, Granian, with as many processes as the database allows."""

import os
import sys
import tempfile
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

MAX_WORKERS = 4
THREADS = 4
SHUTDOWN_TIMEOUT = 15
"""Seconds from SIGTERM until unfinished requests are cut off."""
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class Command(BaseCommand):
    help = (
        "Run the deployment checks, then serve: with one process on SQLite, and one per processor on "
        f"PostgreSQL, at most {MAX_WORKERS}."
    )
    requires_system_checks = []  # `handle` runs the deployment checks

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--workers", type=int, help="number of processes")
        parser.add_argument("--threads", type=int, default=THREADS, help="threads per process")

    def handle(self, *, host: str, port: int, workers: int | None, threads: int, **_: Any) -> None:
        self.check(include_deployment_checks=not settings.DEBUG)
        workers = workers or _workers()
        if workers > 1 and connection.vendor == "sqlite":
            # Its writers can wait for each other only within a process (`billing.ledger.sqlite_lock`).
            raise CommandError("On SQLite, only one process can serve. Use PostgreSQL for more.")
        self.stdout.write(f"http://{host}:{port}, processes: {workers}, threads per process: {threads}")
        self.stdout.flush()
        # Replace this process, so that signals reach the server and no connection is shared.
        os.execve(sys.executable, _command(host, port, workers, threads), _environment(workers))  # noqa: S606


def _workers() -> int:
    return 1 if connection.vendor == "sqlite" else min(os.cpu_count() or 1, MAX_WORKERS)


def _command(host: str, port: int, workers: int, threads: int) -> list[str]:
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--log-level", "warning"),
        *("--host", host, "--port", str(port), "--workers", str(workers)),
        *("--blocking-threads", str(threads), "--respawn-failed-workers"),
        # Kill a worker that a hanging request keeps from ending.
        *("--workers-kill-timeout", str(SHUTDOWN_TIMEOUT)),
        "aicost.wsgi:application",
    ]


def _environment(workers: int) -> dict[str, str]:
    """With several processes, a new folder for their shared metrics, which start at zero with the server."""
    if workers == 1 or os.environ.get(METRICS_FOLDER):
        return dict(os.environ)
    return {**os.environ, METRICS_FOLDER: tempfile.mkdtemp(prefix="aicost-metrics-")}
