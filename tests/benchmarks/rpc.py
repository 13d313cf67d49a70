"""What `getMonthlySummary` costs over HTTP, against a view that answers a constant.

    python -m tests.benchmarks.rpc [--requests 500]
    python -m tests.with_postgres --durable python -m tests.benchmarks.rpc …

A server process of its own, with the demo's data; one client, a new connection for each request, and
both addresses asked in turn, so that whatever else the machine does falls on both. `floor` is
`/healthz`: the server, the connection and every middleware, but no session, token, query or JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote
from wsgiref.simple_server import WSGIRequestHandler, make_server

from tests.benchmarks.import_usage import manage

PRODUCT = "Aurora Checkout"
WARM_UP = 50


class Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """A line for each request would be timed, too."""


def serve() -> None:
    """In the server's process: tells its port, then answers until it is ended."""
    from aicost.wsgi import application

    with make_server("127.0.0.1", 0, application, handler_class=Silent) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


@contextmanager
def server(environment: dict[str, str]) -> Iterator[int]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.rpc", "--serve"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def ask(port: int, address: str, token: str) -> bytes:
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("GET", address, headers={"Authorization": f"Bearer {token}"})
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200, body
    connection.close()
    return body


def milliseconds(port: int, address: str, token: str) -> float:
    start = time.perf_counter()
    ask(port, address, token)
    return (time.perf_counter() - start) * 1000


def summary_address(port: int, token: str) -> str:
    portfolio = json.loads(ask(port, "/api/trpc/aiCost.getCrossProjectSummary", token))
    projects = portfolio["result"]["data"]["projects"]
    [project_id] = [one["projectId"] for one in projects if one["name"] == PRODUCT]
    return "/api/trpc/aiCost.getMonthlySummary?input=" + quote(json.dumps({"projectId": project_id}))


def measure(requests: int, folder: Path) -> dict[str, Any]:
    url = os.environ.get("TEST_DATABASE_URL") or f"sqlite:///{folder / 'bench.sqlite3'}"
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "SECRET_KEY": "bench",
        "DEBUG": "false",
        "HTTPS": "false",
        "ALLOWED_HOSTS": "127.0.0.1",
        "LOG_LEVEL": "ERROR",
    }
    manage({**environment, "DEBUG": "true"}, "demo", "--no-serve")
    token = manage(environment, "create_token", "--user", "demo").strip()
    with server(environment) as port:
        address = summary_address(port, token)
        for _ in range(WARM_UP):
            ask(port, "/healthz", token)
            ask(port, address, token)
        pairs = [
            (milliseconds(port, "/healthz", token), milliseconds(port, address, token))
            for _ in range(requests)
        ]
        size = len(ask(port, address, token))
    floor, summary = (median(times) for times in zip(*pairs, strict=True))
    return {
        "database": url.partition(":")[0],
        "requests": requests,
        "answer_bytes": size,
        "floor_ms": round(floor, 2),
        "summary_ms": round(summary, 2),
        "ratio": round(summary / floor, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(options.requests, Path(folder))))


if __name__ == "__main__":
    main()
