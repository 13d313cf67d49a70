"""The product as in production, in another process, for a benchmark to send requests to."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic, sleep

from tests.receivers import free_port

PATIENCE = 120


def environment(folder: Path) -> dict[str, str]:
    """Production settings, on the server that `TEST_DATABASE_URL` names or a SQLite file in the folder."""
    return {
        **os.environ,
        "DATABASE_URL": os.environ.get("TEST_DATABASE_URL") or f"sqlite:///{folder / 'bench.sqlite3'}",
        "SECRET_KEY": "only-of-a-benchmark-and-long-enough-for-the-check-5f1c8a3e9b7d2064",
        "DEBUG": "false",
        "HTTPS": "false",
        "ALLOWED_HOSTS": "127.0.0.1",
        "LOG_LEVEL": "ERROR",
    }


@contextmanager
def server(environment: dict[str, str], *options: str) -> Iterator[int]:
    """Run `manage.py serve` with these options; yields its port."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "manage.py", "serve", "--port", str(port), *options]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int) -> None:
    deadline = monotonic() + PATIENCE
    while True:
        connection = HTTPConnection("127.0.0.1", port)
        try:
            connection.request("GET", "/healthz")
            connection.getresponse()
            return
        except OSError:
            if monotonic() > deadline:
                raise
            sleep(0.1)
        finally:
            connection.close()
