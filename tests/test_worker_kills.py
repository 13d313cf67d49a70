"""Workers of a cluster that are killed amid the load: what was acknowledged is there, once, in full."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

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
    url = urlsplit(URL)
    return {"user": url.username or "postgres", **({"password": url.password} if url.password else {})}


@pytest.fixture
def machines() -> list[nodes.Node]:
    with psycopg.connect(URL) as connection:
        return nodes.known(connection)


@pytest.fixture
def database(machines: list[nodes.Node], login: dict[str, str]) -> Iterator[str]:
    """A spread one of the test's own, with nothing in it."""
    nodes.drop(NAME, machines, **login)
    with machines[0].connect("postgres", **login) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
    nodes.create(NAME, machines, **login)
    yield urlsplit(URL)._replace(path=f"/{NAME}").geturl()
    nodes.drop(NAME, machines, **login)


def spread(database: str) -> None:
    command = [sys.executable, "manage.py", "distribute"]
    subprocess.run(command, cwd=ROOT, env=environment(database), check=True, capture_output=True)


def test_what_was_acknowledged_before_a_worker_was_killed_is_there_once(
    database: str,
    machines: list[nodes.Node],
    login: dict[str, str],
    tmp_path: Path,
    record_property: Any,
) -> None:
    workers = [Worker(node, **login) for node in machines[1:]]
    if not all(worker.is_here for worker in workers):
        pytest.skip("the cluster's workers are on other machines, out of this test's reach")
    tokens = books.open_books(database, projects=6)
    spread(database)
    made: Counter[str] = Counter()
    with running(database, 2) as servers:
        with load(servers, tokens, senders=6) as busy:
            for worker in workers * 3:
                busy.wait_for(30)
                worker.kill()
                busy.wait_for(5, answer="503")
                worker.start()
                made["worker killed"] += 1
            busy.wait_for(60)
        report = check_reconciled(database, busy.journal, tmp_path)
    record_property("faults", summary(busy.journal, report, made))
