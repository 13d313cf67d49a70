"""Compare a cluster with one PostgreSQL in the same run: intake, imports and a month's summary.

    CITUS_URL=… python -m tests.benchmarks.citus [--events 100000] [--seconds 3] [--clients 1 4]

The one PostgreSQL is a database without the extension on the coordinator's server, so that program and
settings are the same. Both databases are created for the run and dropped after it. Each ledger is verified.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from tests.benchmarks import intake, load, serving
from tests.benchmarks.import_usage import events, manage
from tests.citus import URL, nodes

PLACES = {"one PostgreSQL": "aicost_bench_one", "cluster": "aicost_bench_cluster"}
REPEATS = 300


@contextmanager
def database(name: str, *, distributed: bool) -> Iterator[dict[str, str]]:
    """Environment variables for the product on an empty database."""
    login = nodes.login(URL)
    with psycopg.connect(URL, autocommit=True) as connection:
        machines = nodes.read(connection)
        nodes.drop_database(name, machines, **login)
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    environment = {
        **os.environ,
        "DISTRIBUTED": str(distributed).lower(),
        "DATABASE_URL": urlsplit(URL)._replace(path=f"/{name}").geturl(),
        "SECRET_KEY": "bench",
        "DEBUG": "false",
        "HTTPS": "false",
        "ALLOWED_HOSTS": "127.0.0.1",
        "LOG_LEVEL": "ERROR",
    }
    try:
        if distributed:
            nodes.add_cluster(name, machines, **login)
        manage(environment, "migrate", "--verbosity", "0")
        if distributed:
            manage(environment, "distribute")
        yield environment
    finally:
        nodes.drop_database(name, machines, **login)


def run_module(environment: dict[str, str], *arguments: str) -> str:
    """What the module prints, in a process of its own."""
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def print_medians(project: str) -> None:
    """Print the median milliseconds of a month's summary and of `SELECT 1`. Needs a process of its own."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "aicost.settings"
    django.setup()
    from datetime import date

    from django.db import connection

    from aicost import queries
    from products.models import Project

    product = Project.objects.get(pk=project)

    def select_1() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    summary = lambda: queries.month_summary(product, date(2026, 5, 1))  # noqa: E731
    assert summary().cost
    print(json.dumps([_median(summary), _median(select_1)]))


def _median(action: Any) -> float:
    taken = []
    for _ in range(REPEATS):
        began = perf_counter()
        action()
        taken.append(perf_counter() - began)
    return load.percentile(taken, 50) * 1000


def measure(place: str, options: argparse.Namespace, path: Path) -> None:
    with database(PLACES[place], distributed=place == "cluster") as environment:
        tokens = list(json.loads(run_module(environment, "tests.benchmarks.intake", "--prepare")).values())
        began = monotonic()
        manage(environment, "import_usage", str(path), "--project", "1")
        rate = round(options.events / (monotonic() - began))
        summary, select_1 = json.loads(run_module(environment, "tests.benchmarks.citus", "--ask", "1"))
        print(intake.line([place, "import", "", "", rate, "", ""]), flush=True)
        print(intake.line([place, "month summary", "", "", "", round(summary, 2), ""]))
        print(intake.line([place, "SELECT 1", "", "", "", round(select_1, 2), ""]), flush=True)
        with serving.server(environment) as port:
            bench = intake.Bench(environment["DATABASE_URL"], port, tokens, options.seconds)
            for clients, batch in product(options.clients, options.batch):
                tally = bench.http(clients, batch, tokens[1:])
                times = (round(load.percentile(tally.seconds, percent) * 1000, 1) for percent in (50, 99))
                rate = round(tally.events / options.seconds)
                print(intake.line([place, "intake", clients, batch, rate, *times]), flush=True)
        bench.acknowledged += options.events
        bench.prove(environment)
        print(f"{place}: {bench.acknowledged:,} events, all in the ledger, sums verified", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 100, 1_000])
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask:
        print_medians(options.ask)
        return
    if not URL:
        sys.exit("CITUS_URL is not set.")
    columns = ("where", "what", "clients", "batch", "events a second", "p50 ms", "p99 ms")
    print(intake.line(columns), intake.line(["---"] * len(columns)), sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "usage.jsonl")
        with path.open("w") as file:
            file.writelines(json.dumps(event) + "\n" for event in events(options.events, "jobs"))
        for place in PLACES:
            measure(place, options, path)


if __name__ == "__main__":
    main()
