"""Pages and procedures need no more queries for a large product than for a small one."""

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
"""Exports of whole tables, which are read in batches."""
UNREACHED_LIMIT = {"aiCost.setBudgetLimit": {"limitDollars": 900_000_000}}
"""A limit that the large product doesn't reach: crossing it would add the queries of an alert."""


def test_three_thousand_rows_need_no_more_queries_than_ten(project: Project, owner: Any, viewer: Any) -> None:
    _compare_small_and_large(project, owner, viewer, 3_000)


@pytest.mark.long
# Commit each batch: within a single transaction PostgreSQL neither updates statistics nor vacuums.
@pytest.mark.django_db(transaction=True)
def test_a_million_rows_need_no_more_queries_than_ten(project: Project, owner: Any, viewer: Any) -> None:
    _compare_small_and_large(project, owner, viewer, 1_000_000)


def test_a_page_of_runs_starts_reading_at_its_cursor(project: Project) -> None:
    if connection.vendor != "sqlite":
        pytest.skip(
            "PostgreSQL may choose any index for a small table; SQLite's choice doesn't depend on size"
        )
    plan = runs._started(project, runs.Cursor(NOW, "run")).explain()
    assert re.search(r"SEARCH .* USING INDEX run_newest_first \(.*\bstarted_at<\?\)", plan), plan


def _compare_small_and_large(project: Project, owner: Any, viewer: Any, rows: int) -> None:
    _fill(project, range(10))
    small = _queries(project, owner, viewer)
    _fill(project, range(10, rows))
    project.refresh_from_db()
    large = _queries(project, owner, viewer)
    # Fewer are fine: a full page of runs doesn't query the runs without a start.
    assert {name: number for name, number in large.items() if number > small[name]} == {}


def _fill(project: Project, numbers: range) -> None:
    for start in range(numbers.start, numbers.stop, BATCH):
        ledger.record(project, list(_events(range(start, min(start + BATCH, numbers.stop)))))


def _events(numbers: range) -> Iterator[UsageEvent]:
    """Events of every state that pages distinguish, all within the first ten."""
    for number in numbers:
        fields: dict[str, Any] = {"runId": f"run-{number // 2}", "jobId": f"job-{number % 2}"}
        fields["agentType"] = ("testing", "research", "security")[number % 3]
        fields["jobStatus"] = ("succeeded", "failed", "running")[number % 3]
        fields["occurredAt"] = (NOW - timedelta(days=number * 4 % 40, minutes=number % 7)).isoformat()
        if number % 5 == 4:
            fields |= {"costDollars": None, "model": "nobody-knows", "inputTokens": 7}
        yield event(eventId=f"event-{number}", **fields)
    yield event(kind="purchase", eventId=f"purchase-{numbers.start}")


def _queries(project: Project, owner: Any, viewer: Any) -> dict[str, int]:
    """The number of queries of each page, tab, export and procedure, by name."""
    viewer_client, owner_client = Client(), Client()
    viewer_client.force_login(viewer)
    owner_client.force_login(owner)
    counted = Counter({name: _count(viewer_client, every.page_of(project.pk, name)) for name in every.PAGES})
    counted |= {name: _count(owner_client, reverse(name, args=args)) for name, args in every.OWN.items()}
    dashboard = every.page_of(project.pk, "ai-cost")
    for query in ("?tab=trend", "?tab=runs", "?tab=recent", "?range=90", "?month=2026-02"):
        counted[query] = _count(viewer_client, dashboard + query)
    for table in every.EXPORTS:
        counted[table] = _count(viewer_client, reverse("export", args=[project.pk, table, "json"]))
    for name in (*OF_A_PRODUCT, OWNED):
        with CaptureQueriesContext(connection) as queries:
            given = {
                "projectId": str(project.pk),
                **OF_A_PRODUCT.get(name, {}),
                **UNREACHED_LIMIT.get(name, {}),
            }
            assert trpc(owner_client, name, given).status_code == 200
        counted[name] = len(queries)
    return {name: number for name, number in counted.items() if name not in STREAMED}


def _count(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        response = client.get(address)
        assert response.status_code == 200, address
        if response.streaming:
            b"".join(response.streaming_content)
    return len(queries)
