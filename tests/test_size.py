"""A large product costs its readers no more queries than a small one."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from aicost.queries import runs
from billing import ledger
from billing.events.usage_event import UsageEvent
from products.models import Project
from tests import every_url as every
from tests.calls import trpc
from tests.conftest import NOW
from tests.factories import event
from tests.test_authentication import OF_A_PRODUCT, OWNED

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

BATCH = 1_000
STREAMED = {"export-ledger", "export-runs"}
"""Whole tables, read by the thousand lines or runs."""
BEYOND_REACH = {"aiCost.setBudgetLimit": {"limitDollars": 900_000_000}}
"""Or the larger product's spend would cross it, and an alert be written."""


def test_three_thousand_rows_cost_no_more_queries_than_ten(project: Project, owner: Any, viewer: Any) -> None:
    _grow_and_compare(project, owner, viewer, 3_000)


@pytest.mark.long
# Committed as they come: within one transaction PostgreSQL neither counts rows nor clears dead ones away.
@pytest.mark.django_db(transaction=True)
def test_a_million_rows_cost_no_more_queries_than_ten(project: Project, owner: Any, viewer: Any) -> None:
    _grow_and_compare(project, owner, viewer, 1_000_000)


def test_a_page_of_runs_is_read_from_where_it_begins(project: Project) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("of a small table PostgreSQL reads any index; how SQLite does is a matter of words alone")
    plan = runs._started(project, runs.Cursor(NOW, "run")).explain()
    assert re.search(r"SEARCH .* USING INDEX run_newest_first \(.*\bstarted_at<\?\)", plan), plan


def _grow_and_compare(project: Project, owner: Any, viewer: Any, rows: int) -> None:
    _fill(project, range(10))
    small = _queries(project, owner, viewer)
    _fill(project, range(10, rows))
    project.refresh_from_db()
    large = _queries(project, owner, viewer)
    # A few may be saved: a page of runs that is full asks for none without a start.
    assert {name: number for name, number in large.items() if number > small[name]} == {}


def _fill(project: Project, numbers: range) -> None:
    for start in range(numbers.start, numbers.stop, BATCH):
        ledger.record(project, list(_events(range(start, min(start + BATCH, numbers.stop)))))


def _events(numbers: range) -> Iterator[UsageEvent]:
    """Whatever a page tells apart is there among the first ten already."""
    for number in numbers:
        told: dict[str, Any] = {"runId": f"run-{number // 2}", "jobId": f"job-{number % 2}"}
        told["agentType"] = ("testing", "research", "security")[number % 3]
        told["jobStatus"] = ("succeeded", "failed", "running")[number % 3]
        told["occurredAt"] = (NOW - timedelta(days=number * 4 % 40, minutes=number % 7)).isoformat()
        if number % 5 == 4:
            told |= {"costDollars": None, "model": "nobody-knows", "inputTokens": 7}
        yield event(eventId=f"event-{number}", **told)
    yield event(kind="purchase", eventId=f"purchase-{numbers.start}")


def _queries(project: Project, owner: Any, viewer: Any) -> dict[str, int]:
    """Of each page, each tab and each procedure."""
    readers, owners = Client(), Client()
    readers.force_login(viewer)
    owners.force_login(owner)
    counted = Counter({name: _count(readers, every.page_of(project.pk, name)) for name in every.PAGES})
    counted |= {name: _count(owners, reverse(name, args=args)) for name, args in every.OWN.items()}
    dashboard = every.page_of(project.pk, "ai-cost")
    for query in ("?tab=trend", "?tab=runs", "?tab=recent", "?range=90", "?month=2026-02"):
        counted[query] = _count(readers, dashboard + query)
    for table in every.EXPORTS:
        counted[table] = _count(readers, reverse("export", args=[project.pk, table, "json"]))
    for name in (*OF_A_PRODUCT, OWNED):
        with CaptureQueriesContext(connection) as queries:
            given = {"projectId": str(project.pk), **OF_A_PRODUCT.get(name, {}), **BEYOND_REACH.get(name, {})}
            assert trpc(owners, name, given).status_code == 200
        counted[name] = len(queries)
    return {name: number for name, number in counted.items() if name not in STREAMED}


def _count(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        response = client.get(address)
        assert response.status_code == 200, address
        if response.streaming:
            b"".join(response.streaming_content)
    return len(queries)
