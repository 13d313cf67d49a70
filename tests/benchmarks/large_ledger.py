"""A ledger of any size in the product's own tables, in a separate PostgreSQL database.

    python -m tests.with_postgres python -m tests.benchmarks.large_ledger [--rows 1000000] [--prove]

The schema is made by `manage.py migrate`, the products by the ORM, runs, jobs and the ledger by COPY in two
processes, without keys and indexes, which are made afterwards and have to be the same as before; the
rollups by `summing`. `--prove` has `manage.py verify_ledger` prove them; `--then` runs a command with the
database as its `DATABASE_URL`. Where the server is, says `TEST_DATABASE_URL`.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from multiprocessing import get_context
from time import monotonic
from typing import Any

import psycopg

from tests.benchmarks import databases, summing, usage_rows
from tests.benchmarks.bare_tables import LOADED, bare
from tests.benchmarks.import_usage import manage
from tests.benchmarks.usage_rows import CALLS, JOBS, Maker, Plan

PROJECTS, OWNERS = 200, 4
LARGEST = "Product 001"
"""The product with the most rows; its owner has 50 products."""
MONTHS = 7
"""Whole months before the current one."""
RUNS_A_PART = 2_500
PROCESSES = 2
COPIES = (
    ("products_pipelinerun", usage_rows.RUN_COLUMNS, lambda rows: rows.runs),
    ("products_agentjob", usage_rows.JOB_COLUMNS, lambda rows: rows.jobs),
    ("billing_credittransaction", usage_rows.LEDGER_COLUMNS, lambda rows: rows.ledger),
)
OF_SERVER = {"max_wal_size": "4GB", "checkpoint_timeout": "30min", "autovacuum": "off"}
OF_CONNECTION = {
    "maintenance_work_mem": "1GB",
    "max_parallel_maintenance_workers": "2",
    "work_mem": "1GB",
    "temp_buffers": "512MB",
    "jit": "off",
}


def name_of(rows: int) -> str:
    return f"ledger_{rows}"


def make(rows: int) -> dict[str, Any]:
    """Create the database from scratch; return how long each step took."""
    database, clock = name_of(rows), Clock()
    databases.drop(database)
    databases.create(database)
    url = databases.url_of(database)
    manage({**os.environ, "DATABASE_URL": url}, "migrate", "--verbosity", "0")
    with databases.using(database):
        plan = _products(rows)
    clock.took("schema")
    with _hurried(url) as connection:
        with bare(connection):
            transactions = _load(url, plan)
            clock.took("copy")
        clock.took("indexes")
        _restart_ids(connection)
        connection.execute("VACUUM (ANALYZE, FREEZE)")
        clock.took("vacuum")
        summing.fill(connection)
        connection.execute("VACUUM (ANALYZE)")
        clock.took("rollups")
    return {"rows": transactions, "seconds": clock.seconds}


@contextmanager
def _hurried(url: str) -> Iterator[psycopg.Connection]:
    """Connect with enough memory for indexes and sums, and with a server configured for loading."""
    with databases.connect(url) as connection:
        for name, value in OF_SERVER.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")  # type: ignore[call-overload]
        connection.execute("SELECT pg_reload_conf()")
        for name, value in OF_CONNECTION.items():
            connection.execute(f"SET {name} = '{value}'")  # type: ignore[call-overload]
        yield connection
        for name in OF_SERVER:
            connection.execute(f"ALTER SYSTEM RESET {name}")  # type: ignore[call-overload]
        connection.execute("SELECT pg_reload_conf()")


class Clock:
    def __init__(self) -> None:
        self.last = monotonic()
        self.seconds: dict[str, float] = {}

    def took(self, step: str) -> None:
        now = monotonic()
        self.seconds[step] = round(now - self.last, 1)
        self.last = now
        print(f"  {step}: {self.seconds[step]} s", file=sys.stderr, flush=True)


def _products(rows: int) -> Plan:
    """Make owners, products with limits, agent types, and purchases by the product's ledger writer."""
    from django.contrib.auth import get_user_model

    from billing.budgets import limits
    from products.models import AgentType, Project

    now = datetime.now(UTC)
    first = _months_before(now, MONTHS)
    owners = [
        get_user_model().objects.create_user(f"owner-{n}", email=f"owner-{n}@example.com")
        for n in range(OWNERS)
    ]
    projects = []
    for number in range(PROJECTS):
        owner = owners[number % OWNERS]
        project = Project.objects.create(name=f"Product {number + 1:03}", owner=owner)
        limits.set_limit(project, Decimal(100 * (number + 1)), by=owner, at=first)
        projects.append(project.pk)
    Project.objects.update(first_usage_at=now)
    agent_types: dict[int, list[int]] = {project: [] for project in projects}
    for project, pk in AgentType.objects.order_by("pk").values_list("project_id", "pk"):
        agent_types[project].append(pk)
    return Plan(max(rows // (JOBS * CALLS), 1), first, now, projects, agent_types)


def _months_before(now: datetime, months: int) -> datetime:
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(months):
        first = (first - timedelta(days=1)).replace(day=1)
    return first


def _load(url: str, plan: Plan) -> int:
    parts = [range(start, min(start + RUNS_A_PART, plan.runs)) for start in range(0, plan.runs, RUNS_A_PART)]
    with ProcessPoolExecutor(
        PROCESSES, get_context("fork"), initializer=_begin, initargs=(url, plan)
    ) as pool:
        return sum(pool.map(_copy_part, parts))


def _begin(url: str, plan: Plan) -> None:
    global _maker, _connection
    _maker, _connection = Maker(plan), databases.connect(url)


def _copy_part(numbers: range) -> int:
    rows = _maker.rows(numbers)
    with _connection.transaction():
        for table, columns, text in COPIES:
            with _connection.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
                copy.write(text(rows))
    return rows.transactions


def _restart_ids(connection: Any) -> None:
    """Set the sequences, so that the next row that the product writes gets the next id."""
    for table in LOADED[:3]:
        connection.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--prove", action="store_true")
    parser.add_argument("--then", nargs=argparse.REMAINDER, help="run this while the database is there")
    options = parser.parse_args()
    databases.set_up_django()
    print(json.dumps(make(options.rows)))
    environment = {**os.environ, "DATABASE_URL": databases.url_of(name_of(options.rows))}
    if options.prove:
        print(manage(environment, "verify_ledger").strip())
    if options.then:
        sys.exit(subprocess.run(options.then, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
