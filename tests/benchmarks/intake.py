"""How fast usage comes in over HTTP and by the ledger writer itself, compared with a plain COPY of the rows.

    python -m tests.benchmarks.intake [--seconds 3] [--clients 1 4 16] [--batch 1 100 1000]
        [--rounds 3] [--json FILE]
    python -m tests.with_postgres --durable python -m tests.benchmarks.intake …

Each client is a process that keeps its connection and sends prepared bodies, each after the answer to the
last; what is answered as recorded counts. `one`: all clients send to one project; `many`: each sends to 16 in
turn. `plain` are as many processes that write the same rows into a table without runs, jobs and sums, with a
commit for each batch. `--rounds` of the ledger writer itself (tests.benchmarks.ledger_writer) come first.
Afterwards the ledger is verified, and must hold as many rows as were acknowledged.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from http.client import HTTPConnection
from itertools import product
from pathlib import Path
from typing import Any

from tests.benchmarks import load, plain, serving
from tests.benchmarks.import_usage import SHAPES, events, manage
from tests.benchmarks.ledger_writer import Rounds
from tests.benchmarks.load import Act, Tally

MANY = 16
WARM_UP = 1.0
STOCK = 1_000
EVENTS_A_JOB, EVENTS_A_RUN = SHAPES["jobs"]


def sender(port: int, tokens: list[str], batch: int, ready: int, prefix: str, first: int) -> Act:
    """A client that begins with the project `first`."""
    stock = texts(prefix)
    headers = [{"Authorization": f"Bearer {token}", "Content-Type": "application/json"} for token in tokens]
    connection = HTTPConnection("127.0.0.1", port, timeout=load.PATIENCE)
    connection.connect()

    def body(number: int) -> bytes:
        indexes = range(number * batch, (number + 1) * batch)
        texts = (stock[i % STOCK] % (i, i // EVENTS_A_RUN, i // EVENTS_A_JOB) for i in indexes)
        return f"[{','.join(texts)}]".encode()

    def send(number: int, body: bytes) -> int | None:
        connection.request("POST", "/api/v1/usage", body, headers[(first + number) % len(tokens)])
        response = connection.getresponse()
        answer = response.read()
        if response.status == 503:
            return None
        assert response.status in (200, 207), answer
        return int(json.loads(answer)["recorded"])

    return load.prepared(body, send, ready)


def texts(prefix: str) -> list[str]:
    """Events as JSON with placeholders for the numbers of event, run and job."""
    return [
        json.dumps(event | {"eventId": f"{prefix}e%d", "runId": f"{prefix}r%d", "jobId": f"{prefix}j%d"})
        for event in events(STOCK, "jobs")
    ]


class Bench:
    def __init__(self, url: str, port: int, tokens: list[str], seconds: float) -> None:
        self.url = url
        self.port = port
        self.tokens = tokens
        self.seconds = seconds
        self.acknowledged = 0
        self.cells = 0

    def prefixes(self, clients: int) -> list[str]:
        self.cells += 1
        return [f"{self.cells}-{client}-" for client in range(clients)]

    def http(self, clients: int, batch: int, tokens: list[str]) -> Tally:
        ready = load.READY // batch // clients
        makes = [
            partial(sender, self.port, tokens, batch, ready, prefix, first)
            for first, prefix in enumerate(self.prefixes(clients))
        ]
        tally = load.measure(makes, WARM_UP, self.seconds)
        self.acknowledged += tally.all_events
        return tally

    def plain(self, clients: int, batch: int) -> float:
        """Events a second, measured for half the time because it varies less."""
        ready = load.READY // batch // clients
        makes = [partial(plain.writer, self.url, batch, ready, prefix) for prefix in self.prefixes(clients)]
        return load.measure(makes, WARM_UP / 2, self.seconds / 2).events / (self.seconds / 2)

    def rows(self, clients: int, batch: int) -> Iterator[dict[str, Any]]:
        plain_rate = self.plain(clients, batch)
        for projects in ("one", "many"):
            tally = self.http(clients, batch, self.tokens[:1] if projects == "one" else self.tokens[1:])
            rate = tally.events / self.seconds
            yield {
                "clients": clients,
                "projects": projects,
                "batch": batch,
                "events_per_second": round(rate),
                "plain": round(plain_rate),
                "ratio": round(rate / plain_rate, 3),
                "p50_ms": round(load.percentile(tally.seconds, 50) * 1000, 1),
                "p99_ms": round(load.percentile(tally.seconds, 99) * 1000, 1),
                "busy": tally.busy,
            }

    def prove(self, environment: dict[str, str]) -> None:
        manage(environment, "verify_ledger")
        stored = plain.count(self.url, "billing_credittransaction")
        assert stored == self.acknowledged, f"{self.acknowledged:,} acknowledged, {stored:,} in the ledger"


def prepare() -> None:
    """Run in another process: make the projects, and print a token for each by its id."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "aicost.settings"
    django.setup()
    from django.contrib.auth import get_user_model

    from products import tokens
    from products.models import Project

    owner = get_user_model().objects.create_user("bench")
    projects = [Project.objects.create(name=f"Bench {n}", owner=owner) for n in range(1 + MANY)]
    print(
        json.dumps(
            {project.pk: tokens.issue(owner, scope="ingest", project=project)[1] for project in projects}
        )
    )


COLUMNS = ("clients", "projects", "batch", "events_per_second", "plain", "ratio", "p50_ms", "p99_ms", "busy")


def line(cells: Iterable[Any]) -> str:
    return "| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells) + " |"


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    environment = serving.environment(folder)
    url = environment["DATABASE_URL"]
    manage(environment, "migrate", "--verbosity", "0")
    plain.create_tables(url)
    command = [sys.executable, "-m", "tests.benchmarks.intake", "--prepare"]
    made = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    tokens, database = list(made.values()), url.partition(":")[0]
    writer = Rounds(environment, [int(project) for project in made], options.seconds)
    ledger_writer = writer.measure(options.rounds) if options.rounds else {}
    print(json.dumps({"database": database, "ledger_writer": ledger_writer}), flush=True)
    rows = []
    with serving.server(environment) as port:
        bench = Bench(url, port, tokens, options.seconds)
        bench.acknowledged = writer.recorded
        print(line(COLUMNS), line(["---"] * len(COLUMNS)), sep="\n", flush=True)
        for clients, batch in product(options.clients, options.batch):
            for row in bench.rows(clients, batch):
                rows.append(row)
                print(line(row.values()), flush=True)
    bench.prove(environment)
    print(f"{database}: {bench.acknowledged:,} events acknowledged, all in the ledger, the sums proved")
    return {"database": database, "seconds": options.seconds, "ledger_writer": ledger_writer, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 100, 1_000])
    parser.add_argument("--rounds", type=int, default=3, help="of the ledger writer itself")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.prepare:
        prepare()
        return
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(options, Path(folder))
    if options.json:
        options.json.write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
