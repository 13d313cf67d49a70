"""Senders that meet a lock are asked to retry in time; nothing is recorded, and nothing is lost."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from billing import ledger
from billing.ledger import sqlite_lock
from billing.rollups import rebuilding
from products import tokens
from products.models import Project
from tests.factories import ProjectFactory, UserFactory, event, fields, send
from tests.faults import books
from tests.faults.client import post
from tests.faults.load import load, summary
from tests.faults.server import Server, own_database, running
from tests.stored import stored
from tests.test_kills import check_reconciled

SHORT = {"LOCK_TIMEOUT": "0.2"}


@pytest.fixture
def server() -> Iterator[Server]:
    with running(own_database(), **SHORT) as [started]:
        yield started


@pytest.fixture
def projects() -> list[Project]:
    owner = UserFactory()
    return [ProjectFactory(owner=owner) for _ in range(2)]


def token(project: Project) -> str:
    return tokens.issue(project.owner, project=project, scope="ingest")[1]


def hold_project(project: Project) -> None:
    ledger.lock(project)


def hold_rollups(project: Project) -> None:
    """As rebuilding does, for any product."""
    rebuilding.lock_tables()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("hold", [hold_project, hold_rollups])
def test_a_sender_who_waits_too_long_is_asked_to_retry(
    server: Server, projects: list[Project], hold: Callable[[Project], None]
) -> None:
    project, _ = projects
    sender = token(project)
    events = [fields(eventId="a", jobId="j", agentType="testing"), fields(eventId="b", kind="purchase")]
    assert post(server, sender, [fields(eventId="before")]).statuses == ["recorded"]
    before = stored(project)
    with transaction.atomic():  # on SQLite it holds the lock on the whole database
        hold(project)
        assert post(server, sender, events).busy
        assert post(server, sender, events).busy
        assert stored(project) == before
    assert stored(project) == before
    assert post(server, sender, events).statuses == ["recorded", "recorded"]
    assert post(server, sender, events).statuses == ["duplicate", "duplicate"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one lock for all products")
def test_a_products_lock_does_not_delay_other_products(server: Server, projects: list[Project]) -> None:
    locked, free = map(token, projects)
    with transaction.atomic():
        ledger.lock(projects[0])
        for number in range(5):
            assert post(server, locked, fields(eventId=f"e{number}")).busy
            assert post(server, free, fields(eventId=f"e{number}")).statuses == ["recorded"]
    assert stored(projects[0])["ledger"] == {}
    assert len(stored(projects[1])["ledger"]) == 5


@pytest.mark.django_db(transaction=True)
def test_a_thread_that_does_not_get_the_lock_gives_up_and_records_nothing(
    projects: list[Project], settings: Any
) -> None:
    settings.LOCK_TIMEOUT = 0.05
    project = projects[0]
    with sqlite_lock._lock:  # as another thread would hold it
        if connection.vendor == "sqlite":
            with pytest.raises(OperationalError, match="locked"):
                send(project, event(eventId="e1"))
        else:
            assert send(project, event(eventId="e0")) == ["recorded"]
        with transaction.atomic():
            assert send(project, event(eventId="e2")) == ["recorded"]
    assert send(project, event(eventId="e1"), event(eventId="e2")) == ["recorded", "duplicate"]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL locks per product")
@pytest.mark.parametrize(
    ("processes", "settings"), [pytest.param(1, {}, marks=pytest.mark.long), (2, {"LOCK_TIMEOUT": "0.01"})]
)
def test_sixteen_senders_on_sqlite_lose_nothing(
    tmp_path: Path, processes: int, settings: dict[str, str], record_property: Any
) -> None:
    """A process of 4 threads serves them all. Of two processes with a short timeout, some answers are 503."""
    database = f"sqlite:///{tmp_path / 'books.sqlite3'}"
    owners = books.open_books(database, projects=2)
    with running(database, processes, **settings) as servers:
        with load(servers, owners, senders=16) as busy:
            busy.wait_for(40)
            if settings:
                busy.wait_for(1, "503")
        report = check_reconciled(database, busy.journal, tmp_path)
    assert busy.journal.answers.keys() <= ({"200", "503"} if settings else {"200"})
    record_property("faults", summary(busy.journal, report, {"lock waits": busy.journal.answers["503"]}))
