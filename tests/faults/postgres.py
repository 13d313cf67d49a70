"""A PostgreSQL of a test's own that the test may kill, as durable as it is by default."""

import atexit
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests import with_postgres
from tests.faults.server import PATIENCE


class Crashing:
    def __init__(self, running: Any) -> None:
        self._running = running
        self.url = with_postgres._url(running.get_postmaster_info())

    def _postmaster(self) -> psutil.Process:
        return psutil.Process(self._running.get_pid())

    def crash(self) -> None:
        """SIGKILL to all of it: nothing is flushed, no connection is closed in order."""
        postmaster = self._postmaster()
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            _kill(process)
        psutil.wait_procs(processes, timeout=60)

    def restart(self) -> None:
        """On the same folder: it recovers from its log."""
        deadline = time.monotonic() + PATIENCE
        while not self._is_ready():
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert with_postgres._url(self._running.get_postmaster_info()) == self.url

    def _is_ready(self) -> bool:
        try:
            self._running.ensure_postgres_running()
        except (AssertionError, subprocess.SubprocessError):  # still starting, or the last one still going
            return False
        return True

    def crash_a_backend(self) -> bool:
        """SIGKILL to the process of one connection; the postmaster then throws all others out, and recovers.

        False where nobody is connected.
        """
        for process in self._postmaster().children():
            if _serves_a_client(process):
                return _kill(process)
        return False


def _serves_a_client(process: psutil.Process) -> bool:
    try:
        return "[local]" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


def _kill(process: psutil.Process) -> bool:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return False
    return True


@contextmanager
def crashing() -> Iterator[Crashing]:
    """Ended, and its folder removed, whatever happens inside."""
    folder = Path(tempfile.mkdtemp(prefix="aicost-crashing-"))
    try:
        running = with_postgres._start(folder / "data")
        server = Crashing(running)
        try:
            yield server
        finally:
            running.cleanup()
            atexit.unregister(running._cleanup)
            _end(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _end(folder: Path) -> None:
    """Whatever still runs on the folder: a start that was broken off leaves a server behind."""
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "postgres" and str(folder) in " ".join(process.info["cmdline"] or ()):
            _kill(process)
