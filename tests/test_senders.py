"""Many concurrent senders and readers, over HTTP, against real server processes."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from aicost import queries
from aicost.exports import dashboard as dashboard_export
from billing import clock, verification
from billing.models import CallReport, CreditTransaction
from billing.money import dollars
from products import tokens
from products.models import Project
from tests.factories import ProjectFactory, UserFactory, fields
from tests.faults.client import Answer, ask, post
from tests.faults.load import batch
from tests.faults.server import PATIENCE, Server, own_database, running
from tests.stored import stored

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = 16
MONTHS = ("2024-02", "2024-03", "2024-04")
BATCHES = 12


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    """Two processes on PostgreSQL, one on SQLite, with 4 threads each."""
    with running(own_database(), 2 if connection.vendor == "postgresql" else 1) as started:
        yield started


@pytest.fixture
def projects() -> list[Project]:
    owner = UserFactory()
    return [ProjectFactory(owner=owner) for _ in range(2)]


def token(project: Project, scope: str = "ingest") -> str:
    return tokens.issue(project.owner, project=project, scope=scope)[1]


def at_once(acts: list[Callable[[], Any]]) -> list[Any]:
    """Run all of them at the same time, and return their results."""
    start = Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        start.wait(PATIENCE)
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result(PATIENCE) for future in [pool.submit(run, act) for act in acts]]


def by_all(servers: list[Server], token: str, event: Any) -> Counter[str]:
    """Send one event from many senders at once, to alternating servers. Returns the outcomes."""

    def send(n: int) -> Answer:
        return post(servers[n % len(servers)], token, event)

    answers = at_once([lambda n=n: send(n) for n in range(AT_ONCE)])
    assert {answer.status for answer in answers} <= {200, 422}
    return Counter(status for answer in answers for status in answer.statuses)


def check_sound(project: Project) -> None:
    with verification.snapshot():
        assert list(verification.differences(project)) == []


def test_an_event_sent_by_all_at_once_is_one_row_even_after_a_restart(
    servers: list[Server], projects: list[Project]
) -> None:
    project, other = projects
    event = fields(eventId="e1", jobId="j1", costDollars="1.25")
    assert by_all(servers, token(project), event) == {"recorded": 1, "duplicate": AT_ONCE - 1}
    once = stored(project)
    for server in servers:
        server.kill()
        server.start()
    assert by_all(servers, token(project), event) == {"duplicate": AT_ONCE}
    assert by_all(servers, token(project), {**event, "costDollars": "1.26"}) == {"conflict": AT_ONCE}
    assert stored(project) == once
    assert by_all(servers, token(other), event) == {"recorded": 1, "duplicate": AT_ONCE - 1}
    assert stored(project) == once
    assert CreditTransaction.objects.filter(event_id="e1").count() == 2
    for each in projects:
        check_sound(each)


def test_readers_always_see_consistent_sums_during_writes(
    servers: list[Server], projects: list[Project]
) -> None:
    project = projects[0]
    writing, reading = token(project), token(project, "read")

    def write(sender: int) -> None:
        for number in range(1, BATCHES + 1):
            answer = post(servers[number % len(servers)], writing, batch(sender, number))
            assert set(answer.statuses) <= {"recorded", "duplicate"}  # of reports of one call

    def read(reader: int) -> None:
        for number in range(BATCHES):
            server = servers[(reader + number) % len(servers)]
            month = MONTHS[number % len(MONTHS)]
            check_adds_up(ask(server, reading, "getMonthlySummary", projectId=str(project.pk), month=month))

    half = AT_ONCE // 2
    at_once([lambda n=n: write(n) for n in range(half)] + [lambda n=n: read(n) for n in range(half)])
    sent = [
        raw for sender in range(half) for number in range(1, BATCHES + 1) for raw in batch(sender, number)
    ]
    plain = CreditTransaction.objects.filter(project=project, adjusts=None).exclude(
        event_id__in=CallReport.objects.filter(project=project).values("event_id")
    )
    reports = CallReport.objects.filter(project=project)
    assert plain.count() + reports.count() == len(sent)
    check_sound(project)
    for month in MONTHS:
        summary = ask(servers[0], reading, "getMonthlySummary", projectId=str(project.pk), month=month)
        check_adds_up(summary)
        check_same_everywhere(project, month, summary)


def check_adds_up(summary: dict[str, Any]) -> None:
    agents = summary["agentBreakdown"]
    assert sum(one["cost"] for one in agents) == pytest.approx(summary["totalCost"], abs=1e-6)
    tokens_of_agents = sum(one["inputTokens"] + one["outputTokens"] for one in agents)
    assert tokens_of_agents == summary["totalTokens"]
    assert sum(one["totalJobs"] for one in agents) == summary["totalJobs"]
    if summary["totalCost"] > 0:
        assert sum(one["pctOfTotal"] for one in agents) == pytest.approx(100)


def check_same_everywhere(project: Project, month: str, summary: dict[str, Any]) -> None:
    """Check that ledger, rollups, procedure and CSV have the same figure."""
    first = clock.month_from(project, month)
    assert first
    lines = list(csv.DictReader(StringIO("".join(dashboard_export.ledger_lines(project, first)))))
    *rows, total = lines
    ledger = sum(
        amount if kind == "deduction" else -amount
        for kind, amount in CreditTransaction.objects.filter(
            project=project, job__isnull=False, billed_on__startswith=month
        ).values_list("kind", "amount_nanos")
    )
    assert dollars(ledger) == summary["totalCost"] == pytest.approx(float(total["spendDollars"]))
    assert dollars(queries.month_summary(project, first).cost) == summary["totalCost"]
    assert len({row["eventId"] for row in rows}) == len(rows)
