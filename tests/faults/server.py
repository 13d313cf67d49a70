"""A process of the product that a test may kill: a WSGI server with a fixed number of threads.

    python -m tests.faults.server --threads 4

It prints its port and serves until it is ended. As in production servers, threads live on and keep their
database connections.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import psutil

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120
"""Seconds after which a test gives up on a server. None needs a tenth of it."""


class Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


class Pooled(WSGIServer):
    """Serves with a pool of threads; further requests wait in the queue."""

    request_queue_size = 512
    pool: ThreadPoolExecutor

    def process_request(self, request: Any, client_address: Any) -> None:
        self.pool.submit(self._answer, request, client_address)

    def _answer(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except OSError:
            pass  # the client has gone
        finally:
            self.shutdown_request(request)


def _end_with_the_test() -> None:
    """End this process when the test's end of the pipe closes, which happens even if the test is killed."""
    sys.stdin.read()
    os._exit(1)


def serve(threads: int) -> None:
    from aicost.wsgi import application

    Thread(target=_end_with_the_test, daemon=True).start()
    with make_server("127.0.0.1", 0, application, Pooled, Silent) as server:
        assert isinstance(server, Pooled)
        server.pool = ThreadPoolExecutor(threads)
        sys.stdout.write(f"{server.server_port}\n")
        sys.stdout.flush()
        server.serve_forever()


def own_database() -> str:
    """The URL of the test's own database."""
    from django.db import connection

    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlsplit(os.environ["TEST_DATABASE_URL"])._replace(path=f"/{name}").geturl()


def environment(database: str, **settings: str) -> dict[str, str]:
    """The product's settings, as in production but without TLS."""
    product = {
        "DJANGO_SETTINGS_MODULE": "aicost.settings",
        "DATABASE_URL": database,
        "SECRET_KEY": "only-for-tests",
        "DEBUG": "false",
        "HTTPS": "false",
        "ALLOWED_HOSTS": "127.0.0.1",
        "LOG_LEVEL": "CRITICAL",
    }
    return {**os.environ, **product, **settings}


class Server:
    """A process of the product, which can be killed and started again, then on another port."""

    def __init__(self, database: str, threads: int = 4, **settings: str) -> None:
        self.environment = environment(database, **settings)
        self.threads = threads
        self.port = 0
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "tests.faults.server",
            "--threads",
            str(self.threads),
        ]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())

    def end(self, signal_number: int = signal.SIGTERM) -> None:
        if self.process:
            self.process.send_signal(signal_number)
            self.process.wait(PATIENCE)
            for pipe in (self.process.stdin, self.process.stdout):
                assert pipe
                pipe.close()
            self.process = None

    def kill(self) -> None:
        """End it at once with SIGKILL."""
        self.end(signal.SIGKILL)

    def memory(self) -> int:
        """The memory that the process uses now, in bytes."""
        assert self.process
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def connect(self) -> socket.socket:
        """A plain connection, for clients that break the rules of HTTP."""
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)


@contextmanager
def running(database: str, processes: int = 1, threads: int = 4, **settings: str) -> Iterator[list[Server]]:
    """Start processes on one database; end them in any case."""
    servers = [Server(database, threads, **settings) for _ in range(processes)]
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=4)
    serve(parser.parse_args().threads)


if __name__ == "__main__":
    main()
