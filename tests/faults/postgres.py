"""A PostgreSQL server of a test's own, which the test may kill. It has PostgreSQL's default durability."""

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
        """Send SIGKILL to all its processes: nothing is flushed, and no connection is closed properly."""
        postmaster = self._postmaster()
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            _kill(process)
        psutil.wait_procs(processes, timeout=60)

    def restart(self) -> None:
        """Start it again on the same folder; it recovers from its log."""
        deadline = time.monotonic() + PATIENCE
        while not self._is_ready():
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert with_postgres._url(self._running.get_postmaster_info()) == self.url

    def _is_ready(self) -> bool:
        try:
            self._running.ensure_postgres_running()
        except (
            AssertionError,
            subprocess.SubprocessError,
        ):  # it is still starting, or the old one has not ended yet
            return False
        return True

    def crash_a_backend(self) -> bool:
        """Send SIGKILL to the process of one connection. The postmaster then closes all others and recovers.

        Returns False if nobody is connected.
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
    """Start a server; end it and remove its folder in any case."""
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
    """End every process that still runs on the folder: an interrupted start leaves a server behind."""
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "postgres" and str(folder) in " ".join(process.info["cmdline"] or ()):
            _kill(process)
