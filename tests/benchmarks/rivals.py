"""The same questions without rollups: with the plain join, and with DuckDB and chdb over one wide table.

Both get the very rows of the join. DuckDB keeps them in a file of its own, chdb in a MergeTree ordered by
project and time. All three get the same SQL, and must give the same answers as the product.
"""

import csv
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from billing import periods
from tests.benchmarks import databases
from tests.benchmarks.questions import RANGE

NAMES = ["plain join", "DuckDB", "chdb"]
MODULES = {"DuckDB": "duckdb", "chdb": "chdb"}
WITHOUT = "--rivals 'plain join'"
LINES_A_FILE = 4_000_000

WIDE = """
    SELECT t.project_id, t.occurred_at AT TIME ZONE 'UTC' AS occurred_at, t.billed_on, t.event_id, t.model,
        t.kind = 'deduction' AS is_deduction,
        CASE t.kind WHEN 'refund' THEN -t.amount_nanos ELSE t.amount_nanos END AS cost,
        t.input_tokens + t.cache_read_tokens + t.cache_write_tokens AS input_tokens, t.output_tokens,
        j.id AS job, j.job_id, j.status AS job_status,
        COALESCE(j.finished_on, date '1970-01-01') AS finished_on,
        a.slug AS agent_type, a.label AS agent_label,
        r.run_id, r.status AS run_status, r.reported_trigger AS run_trigger,
        r.started_at AT TIME ZONE 'UTC' AS run_started_at, r.job_count AS run_jobs
    FROM billing_credittransaction t
    JOIN products_agentjob j ON j.id = t.job_id
    JOIN products_pipelinerun r ON r.id = j.run_id
    JOIN products_agenttype a ON a.id = j.agent_type_id
"""
_KINDS = {
    "BIGINT": ("project_id", "cost", "input_tokens", "output_tokens", "job"),
    "INTEGER": ("run_jobs",),
    "BOOLEAN": ("is_deduction",),
    "DATE": ("billed_on", "finished_on"),
    "TIMESTAMP": ("occurred_at", "run_started_at"),
    "VARCHAR": (
        *("event_id", "model", "job_id", "job_status", "agent_type", "agent_label"),
        *("run_id", "run_status", "run_trigger"),
    ),
}
COLUMNS = {name: kind for kind, names in _KINDS.items() for name in names}
CLICKHOUSE = {
    "BIGINT": "Int64",
    "INTEGER": "Int32",
    "BOOLEAN": "Bool",
    "DATE": "Date",
    "TIMESTAMP": "DateTime64(6)",
    "VARCHAR": "String",
}

SUMS = """
    SUM(cost) AS cost,
    SUM(CASE WHEN is_deduction THEN input_tokens + output_tokens ELSE 0 END) AS tokens
"""
MONTH = "date_trunc('month', billed_on)"
# A job counts on the day it finished, which is the day of its last deduction.
DAYS_JOBS = "COUNT(DISTINCT CASE WHEN finished_on = billed_on THEN job END)"
MONTHS_JOBS = f"COUNT(DISTINCT CASE WHEN date_trunc('month', finished_on) = {MONTH} THEN job END)"


class Period(NamedTuple):
    """What a question is about: one product, or all of its owner's."""

    project: int
    projects: Sequence[int]
    today: date

    @classmethod
    def of(cls, database: str, product: str) -> "Period":
        with databases.using(database):
            from billing import clock
            from products.models import Project

            project = Project.objects.get(name=product)
            siblings = Project.objects.filter(owner=project.owner_id).order_by("pk")
            return cls(project.pk, list(siblings.values_list("pk", flat=True)), clock.today(project))


def questions(of: Period) -> dict[str, tuple[str, ...]]:
    """The questions as SQL over a relation named `usage`."""
    mine = f"project_id = {of.project}"
    this_month = f"billed_on BETWEEN '{periods.month_of(of.today)}' AND '{of.today}'"
    half_year = (
        f"billed_on BETWEEN '{periods.months_ending(of.today, periods.TREND_MONTHS)[0]}' AND '{of.today}'"
    )
    quarter = f"billed_on BETWEEN '{periods.days_ending(of.today, RANGE)[0]}' AND '{of.today}'"
    run = "run_id, run_status, run_trigger, run_started_at, run_jobs"
    succeeded = MONTHS_JOBS.replace("THEN job", "AND job_status = 'succeeded' THEN job")
    return {
        "month summary": (
            f"SELECT agent_type, {SUMS}, {MONTHS_JOBS} AS jobs, {succeeded} AS succeeded FROM usage "
            f"WHERE {mine} AND {this_month} GROUP BY agent_type ORDER BY cost DESC, agent_type",
            f"SELECT {run}, {SUMS} FROM usage WHERE {mine} AND {this_month} GROUP BY {run} "
            "ORDER BY cost DESC, run_started_at DESC, run_id LIMIT 5",
        ),
        "6 months": (
            f"SELECT {MONTH} AS month, {SUMS}, {MONTHS_JOBS} AS jobs FROM usage WHERE {mine} AND {half_year} "
            "GROUP BY 1 ORDER BY 1",
        ),
        "90 days": (
            f"SELECT billed_on, {SUMS}, {DAYS_JOBS} AS jobs FROM usage WHERE {mine} AND {quarter} "
            "GROUP BY billed_on ORDER BY billed_on",
        ),
        "last 50": (
            "SELECT event_id, run_id, job_id, agent_type, agent_label, model, input_tokens, output_tokens, "
            f"cost, occurred_at FROM usage WHERE {mine} AND is_deduction "
            "ORDER BY occurred_at DESC, event_id LIMIT 50",
        ),
        "50 products": (
            f"SELECT project_id, {MONTH} AS month, {SUMS}, {MONTHS_JOBS} AS jobs FROM usage "
            f"WHERE project_id IN ({', '.join(map(str, of.projects))}) AND {half_year} "
            "GROUP BY 1, 2 ORDER BY 1, 2",
        ),
    }


Ask = Callable[[str], list[tuple[Any, ...]]]


class Rival(NamedTuple):
    name: str
    ask: Ask
    bytes: int | None
    load_seconds: float | None


@contextmanager
def plain_join(database: str) -> Iterator[Rival]:
    with databases.connect(databases.url_of(database)) as connection:
        connection.execute(f"CREATE TEMPORARY VIEW usage AS {WIDE}")
        yield Rival("plain join", lambda sql: connection.execute(sql).fetchall(), None, None)  # type: ignore[call-overload]


@contextmanager
def duckdb_table(database: str, folder: Path) -> Iterator[Rival]:
    import duckdb

    path, start = folder / "usage.duckdb", monotonic()
    with duckdb.connect(str(path)) as connection:
        columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        connection.execute(f"CREATE TABLE usage ({columns})")
        for file in exported(database, folder):
            connection.execute(f"COPY usage FROM '{file}' (FORMAT csv, HEADER false)")
        connection.execute("CHECKPOINT")
        took = monotonic() - start
        yield Rival("DuckDB", lambda sql: connection.execute(sql).fetchall(), path.stat().st_size, took)


@contextmanager
def chdb_table(database: str, folder: Path) -> Iterator[Rival]:
    from chdb import session

    path, start = folder / "chdb", monotonic()
    chdb = session.Session(str(path))
    try:
        columns = ", ".join(f"{name} {CLICKHOUSE[kind]}" for name, kind in COLUMNS.items())
        chdb.query("CREATE DATABASE bench ENGINE = Atomic")
        chdb.query("USE bench")
        chdb.query(f"CREATE TABLE usage ({columns}) ENGINE = MergeTree ORDER BY (project_id, occurred_at)")
        for file in exported(database, folder):
            chdb.query(f"INSERT INTO usage SELECT * FROM file('{file}', 'CSV', '{columns}')")
        chdb.query("OPTIMIZE TABLE usage FINAL")
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        yield Rival("chdb", lambda sql: _rows(chdb.query(sql, "CSV")), size, monotonic() - start)
    finally:
        chdb.close()


def _rows(answer: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in csv.reader(io.StringIO(answer.data()))]


def exported(database: str, folder: Path) -> Iterator[Path]:
    """Yield the wide table as CSV, in parts; each is removed when the next is requested."""
    names = ", ".join(name if name != "is_deduction" else "is_deduction::int" for name in COLUMNS)
    with databases.connect(databases.url_of(database)) as connection:
        connection.execute("SET work_mem = '512MB'")
        copying = connection.cursor().copy(
            f"COPY (SELECT {names} FROM ({WIDE}) AS wide) TO STDOUT (FORMAT csv)"
        )
        with copying as copy:
            lines = iter(copy)
            path = folder / "part.csv"
            while _fill(path, lines):
                yield path
                path.unlink()


def _fill(path: Path, lines: Iterator[Any]) -> bool:
    with path.open("wb") as file:
        file.writelines(islice(lines, LINES_A_FILE))
        return file.tell() > 0


def expect(names: Sequence[str]) -> None:
    """Fail now if something is missing, not after the ledger has been made."""
    missing = [module for name, module in MODULES.items() if name in names and find_spec(module) is None]
    if missing:
        sys.exit(
            f"{' and '.join(missing)}: not installed. pip install -e '.[bench]', or leave them out: {WITHOUT}"
        )


def compare(name: str, answer: Any, found: list[list[tuple[Any, ...]]]) -> None:
    """A rival must find what the product answers."""
    ours, theirs = _ours(name, answer), [_PICKED[name](list(map(_plain, rows))) for rows in found]
    assert ours == theirs, f"{name}: {ours} is not {theirs}"


def _plain(row: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(str(value).removesuffix(".0") for value in row)


_PICKED: dict[str, Callable[[list[tuple[str, ...]]], list[Any]]] = {
    "month summary": lambda rows: [(row[0], row[-4] if len(row) == 5 else row[-2]) for row in rows],
    "6 months": lambda rows: [row[1:] for row in rows],
    "90 days": lambda rows: [row[1:] for row in rows],
    "last 50": lambda rows: [row[0] for row in rows],
    "50 products": lambda rows: sorted(row[2:] for row in rows),
}


def _ours(name: str, answer: Any) -> list[list[Any]]:
    if name == "month summary":
        summary, runs = answer
        agents = sorted(summary.agents, key=lambda agent: (-agent.cost, agent.agent_type))
        return [
            [(one.agent_type, str(one.cost)) for one in agents],
            [(one.run_id, str(one.cost)) for one in runs],
        ]
    if name == "last 50":
        return [[one.event_id for one in answer]]
    if name == "50 products":
        spends = [spend for one in answer.projects for spend in one.trend]
        return [sorted(_spend(spend) for spend in spends if spend.cost)]
    return [[_spend(spend) for spend in answer if spend.cost]]


def _spend(spend: Any) -> tuple[str, ...]:
    return str(spend.cost), str(spend.tokens), str(spend.jobs)
