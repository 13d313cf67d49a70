"""Servers and databases are killed under load. Everything acknowledged is recorded, once and completely."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from billing import ledger
from billing.events.parsing import read
from billing.models import DailySpend
from tests.factories import ProjectFactory, fields
from tests.faults import books
from tests.faults.load import Journal, Load, load, summary
from tests.faults.postgres import Crashing, crashing
from tests.faults.server import running

FOUND = ("lost", "doubled", "unsent", "torn", "unlike the model", "unproved")


@contextmanager
def on_a_database(tmp_path: Path) -> Iterator[tuple[str, Crashing | None]]:
    """A database of the test's own, of the kind that this test run is for."""
    if connection.vendor == "sqlite":
        yield f"sqlite:///{tmp_path / 'books.sqlite3'}", None
        return
    with crashing() as postgres:
        yield postgres.url, postgres


def check_reconciled(database: str, journal: Journal, folder: Path) -> dict[str, Any]:
    journal.write(folder / "journal.json")
    report = books.reconcile(database, folder / "journal.json")
    assert journal.surprises == []
    assert {name: report[name][:5] for name in FOUND if report[name]} == {}
    assert report["acknowledged"] > 0
    return report


@pytest.mark.django_db
def test_the_reconciliation_finds_errors() -> None:
    project = ProjectFactory()
    first, second, third = (
        [fields(eventId="a"), fields(eventId="b")],
        [fields(eventId="c")],
        [fields(eventId="d")],
    )
    now = datetime.now(UTC)
    ledger.record(project, [read(raw, now=now, credits_per_dollar=100) for raw in [first[0], *second]])

    def found(batches: list[Any], acknowledged: list[str]) -> dict[str, list[str]]:
        return {
            name: rows for name, rows in books._differences(project.pk, batches, acknowledged).items() if rows
        }

    assert found([first[:1], second, third], ["a", "c"]) == {}
    assert found([first[:1], second, third], ["a", "d"]) == {"lost": ["d"]}
    assert found([first, second], ["a", "c"]).keys() == {"torn"}
    assert found([first[:1]], ["a"]).keys() == {"unsent", "unlike the model"}
    assert found([first[:1], [{**second[0], "costDollars": 2}]], []).keys() == {"unlike the model"}
    DailySpend.objects.filter(project=project).update(transactions=3)
    assert found([first[:1], second], ["a", "c"]).keys() == {"unlike the model", "unproved"}


def kill_server(busy: Load, rng: random.Random) -> None:
    victim = rng.choice(busy.servers)
    victim.kill()
    victim.start()


def kill_postgres(busy: Load, postgres: Crashing) -> None:
    postgres.crash()
    postgres.restart()


def kill_backend(busy: Load, postgres: Crashing) -> None:
    while not postgres.crash_a_backend():
        busy.wait_for(1)


def run_with_kills(folder: Path, kills: Counter[str], record_property: Any) -> None:
    rng = random.Random(20260317)
    order = sorted(kills.elements())
    rng.shuffle(order)
    processes = 2 if connection.vendor == "postgresql" else 1
    with on_a_database(folder) as (database, postgres):
        tokens = books.open_books(database, projects=2)
        with running(database, processes) as servers:
            with load(servers, tokens, senders=6) as busy:
                for what in order:
                    busy.wait_for(rng.randint(5, 40))
                    if what == "server killed":
                        kill_server(busy, rng)
                    elif postgres:
                        act = kill_postgres if what == "PostgreSQL killed" else kill_backend
                        act(busy, postgres)
                busy.wait_for(20)
            assert busy.journal.answers["no answer"] > 0
            report = check_reconciled(database, busy.journal, folder)
    record_property("faults", summary(busy.journal, report, kills))


def kills(count: int) -> Counter[str]:
    if connection.vendor == "sqlite":
        return Counter({"server killed": count})
    return Counter({"server killed": count, "PostgreSQL killed": count, "backend killed": count // 2})


def test_events_acknowledged_before_a_kill_are_recorded_once(tmp_path: Path, record_property: Any) -> None:
    run_with_kills(tmp_path, kills(2), record_property)


@pytest.mark.long
def test_events_acknowledged_during_many_kills_are_recorded_once(
    tmp_path: Path, record_property: Any
) -> None:
    run_with_kills(tmp_path, kills(20), record_property)
