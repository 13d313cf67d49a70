"""Workers of a cluster are killed under load: every acknowledged event is in the ledger exactly once."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.citus import URL, nodes
from tests.citus.worker import Worker
from tests.faults import books
from tests.faults.load import load, summary
from tests.faults.server import ROOT, environment, running
from tests.test_kills import check_reconciled

pytestmark = [pytest.mark.citus, pytest.mark.long]

NAME = "aicost_killed"


@pytest.fixture
def login() -> dict[str, str]:
    return nodes.login(URL)


@pytest.fixture
def machines() -> list[nodes.Node]:
    with psycopg.connect(URL) as connection:
        return nodes.read(connection)


@pytest.fixture
def database(machines: list[nodes.Node], login: dict[str, str]) -> Iterator[str]:
    """The URL of an empty database on every machine."""
    nodes.drop_database(NAME, machines, **login)
    nodes.create_database(NAME, machines, **login)
    yield urlsplit(URL)._replace(path=f"/{NAME}").geturl()
    nodes.drop_database(NAME, machines, **login)


def distribute(database: str) -> None:
    command = [sys.executable, "manage.py", "distribute"]
    subprocess.run(command, cwd=ROOT, env=environment(database), check=True, capture_output=True)


def test_acknowledged_events_are_recorded_once_after_workers_were_killed(
    database: str,
    machines: list[nodes.Node],
    login: dict[str, str],
    tmp_path: Path,
    record_property: Any,
) -> None:
    workers = [Worker(node, **login) for node in machines[1:]]
    if not all(worker.is_local for worker in workers):
        pytest.skip("the cluster's workers are on other machines, where this test can't kill them")
    tokens = books.open_books(database, projects=6)
    distribute(database)
    faults: Counter[str] = Counter()
    with running(database, 2) as servers:
        with load(servers, tokens, senders=6) as busy:
            for worker in workers * 3:
                busy.wait_for(30)
                worker.kill()
                busy.wait_for(5, answer="503")
                worker.start()
                faults["worker killed"] += 1
            busy.wait_for(60)
        report = check_reconciled(database, busy.journal, tmp_path)
    record_property("faults", summary(busy.journal, report, faults))
