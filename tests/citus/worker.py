"""A worker of the cluster that a test may kill, if it runs on the same machine as the test."""

import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg

from tests.citus.nodes import Node
from tests.faults.server import PATIENCE


class Worker:
    def __init__(self, node: Node, **login: str) -> None:
        self.node = node
        self.login = login
        with node.connect("postgres", **login) as connection:
            self.data = Path(self._value(connection, "SHOW data_directory"))
            programs = self._value(connection, "SELECT setting FROM pg_config WHERE name = 'BINDIR'")
        self.program = Path(programs, "postgres")

    @staticmethod
    def _value(connection: psycopg.Connection, query: str) -> str:
        row = connection.execute(query).fetchone()  # type: ignore[arg-type]
        assert row
        return str(row[0])

    @property
    def is_local(self) -> bool:
        return (self.data / "postmaster.pid").is_file() and self.program.is_file()

    def kill(self) -> None:
        """Send SIGKILL to all its processes: nothing is flushed, no connection is closed in order."""
        postmaster = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
        assert postmaster.name() == "postgres"
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=60)

    def start(self) -> None:
        """Start it again on its data directory, as the directory's owner. It outlives the test."""
        owner = self.data.stat()
        subprocess.Popen(
            [self.program, "-D", self.data],
            cwd="/",
            user=owner.st_uid,
            group=owner.st_gid,
            extra_groups=[],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + PATIENCE
        while not self._accepts_connections():
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def _accepts_connections(self) -> bool:
        try:
            self.node.connect("postgres", **self.login).close()
        except psycopg.OperationalError:
            return False
        return True
