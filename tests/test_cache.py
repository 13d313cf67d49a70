"""Cached pages and answers: never stale, and with nothing about the person who asked."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from threading import Barrier, Event
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from aicost import cache, queries
from billing.budgets import checks, limits, policies
from billing.ledger import corrections
from billing.models import MonthlySpend
from billing.money import NANOS_PER_DOLLAR
from billing.prices.price_list import Price
from billing.rollups import rebuilding
from products.models import AgentType, Project
from tests.calls import trpc
from tests.conftest import NOW
from tests.factories import ProjectFactory, event, send, usage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

FRAGMENTS = ("ai-cost-month", "ai-cost-daily", "ai-cost-tabs")
READS = ("getMonthlySummary", "getMonthlyTrend", "getRecentTransactions")
ACCESS_QUERIES = 3
"""The queries that check access before anything else: session, user, product."""
TIMEOUT = 30
"""Seconds."""


@pytest.fixture
def used(project: Any) -> Any:
    usage(project, costDollars="2", agentType="testing", jobId="job-1")
    usage(project, eventId="unpriced", model="no-such-model", costDollars=None, inputTokens=5, jobId="job-2")
    return Project.objects.get(pk=project.pk)


@pytest.fixture
def owner_client(owner: Any) -> Client:
    return client_of(owner)


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def url(project: Any, name: str) -> str:
    return reverse(name, args=[project.pk])


def queries_for(client: Client, address: str, **headers: str) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert client.get(address, headers=headers).status_code in (200, 304)
    return len(asked)


def read(client: Client, project: Any, name: str) -> Any:
    response = trpc(client, f"aiCost.{name}", {"projectId": str(project.pk)})
    assert response.status_code == 200
    return response.json()["result"]["data"]


# Cached answers are not computed again


@pytest.mark.parametrize("name", ["ai-cost", *FRAGMENTS])
def test_an_unchanged_page_only_queries_for_access(owner_client: Client, used: Any, name: str) -> None:
    assert queries_for(owner_client, url(used, name)) > ACCESS_QUERIES
    assert queries_for(owner_client, url(used, name)) == ACCESS_QUERIES


@pytest.mark.parametrize("name", FRAGMENTS)
def test_a_browser_with_the_current_fragment_gets_a_304_without_rendering(
    owner_client: Client, used: Any, name: str
) -> None:
    etag = owner_client.get(url(used, name))["ETag"]
    caches["answers"].clear()
    assert queries_for(owner_client, url(used, name), **{"If-None-Match": etag}) == ACCESS_QUERIES


@pytest.mark.parametrize("name", READS)
def test_answers_are_cached(owner_client: Client, used: Any, name: str) -> None:
    first = read(owner_client, used, name)
    with CaptureQueriesContext(connection) as asked:
        assert read(owner_client, used, name) == first
    assert len(asked) == ACCESS_QUERIES


def test_each_month_and_input_has_its_own_answer(owner_client: Client, used: Any) -> None:
    inputs = ({"days": 7}, {"days": 14}, {"days": 7, "month": "2026-01"})
    responses = [
        trpc(owner_client, "aiCost.getDailySpend", {"projectId": str(used.pk), **more}) for more in inputs
    ]
    answers = [response.json()["result"]["data"] for response in responses]
    assert [len(answer) for answer in answers] == [7, 14, 7]
    assert answers[0] != answers[2]


def test_errors_are_not_cached(owner_client: Client, used: Any) -> None:
    for _ in range(2):
        response = trpc(
            owner_client, "aiCost.getMonthlyTrend", {"projectId": str(used.pk), "month": "2999-01"}
        )
        assert "month" in response.json()["error"]["message"]


def portfolio_and_queried(owner: Any) -> tuple[dict[str, tuple[Any, ...]], list[set[str]]]:
    """The owner's products as in the portfolio now, and the project ids in each of its queries."""
    projects = list(Project.objects.filter(owner=owner))
    with CaptureQueriesContext(connection) as asked:
        found = queries.portfolio(projects).projects
    rows = {row.project.name: (row.cost, row.trend, row.outlook, row.budget) for row in found}
    id_lists = [re.findall(r" IN \(([^)]+)\)", query["sql"]) for query in asked]
    return rows, [set(", ".join(ids).split(", ")) for ids in id_lists]


def test_the_portfolio_only_queries_products_that_changed(owner: Any, used: Any) -> None:
    others = [ProjectFactory(owner=owner, name=f"Other {number}") for number in range(3)]
    for other in others:
        usage(other, costDollars="3")
    everything = {str(one.pk) for one in (used, *others)}
    assert portfolio_and_queried(owner)[1] == [everything] * 3
    assert portfolio_and_queried(owner)[1] == []
    usage(others[1], costDollars="4")
    rows, queried = portfolio_and_queried(owner)
    assert queried == [{str(others[1].pk)}] * 3
    assert rows["Other 1"][0] == 7 * NANOS_PER_DOLLAR
    caches["project figures"].clear()
    assert portfolio_and_queried(owner) == (rows, [everything] * 3)


def run_both(first: Callable[[], object], second: Callable[[], object]) -> None:
    with ThreadPoolExecutor(2) as threads:
        for future in [threads.submit(first), threads.submit(second)]:
            future.result(timeout=TIMEOUT)


def test_only_one_of_two_threads_that_miss_an_answer_makes_it(monkeypatch: Any) -> None:
    monkeypatch.setattr(cache, "_LOCK_TIMEOUT", TIMEOUT)
    made: list[str] = []
    lookups, missed, made_twice, store = count(), Barrier(2), Event(), caches["answers"]

    class MissedTwice:
        """Both threads look the answer up before either makes it."""

        set = store.set

        def get(self, key: str) -> Any:
            found = store.get(key)
            if next(lookups) < 2:
                missed.wait(TIMEOUT)
            return found

    monkeypatch.setattr(cache, "caches", {"answers": MissedTwice()})

    def make() -> str:
        made.append("it")
        if len(made) == 1:
            made_twice.wait(0.5)  # long enough for the other thread to make it, too
        else:
            made_twice.set()
        return "it"

    run_both(partial(cache.get_or_make, "twice", make), partial(cache.get_or_make, "twice", make))
    assert made == ["it"]


def test_a_stuck_thread_does_not_block_others(monkeypatch: Any) -> None:
    monkeypatch.setattr(cache, "_LOCK_TIMEOUT", 0.01)
    started, other_done = Event(), Event()

    def stuck() -> str:
        started.set()
        assert other_done.wait(TIMEOUT)
        return "late"

    def other() -> None:
        assert started.wait(TIMEOUT)
        assert cache.get_or_make("stuck", lambda: "made") == "made"
        other_done.set()

    run_both(partial(cache.get_or_make, "stuck", stuck), other)


# Cached answers are never stale


def record(project: Any) -> None:
    usage(project, costDollars="3", agentType="testing")


def correct_status(project: Any) -> None:
    send(project, event(kind="job", jobId="job-1", jobStatus="failed"))


def start_a_job(project: Any) -> None:
    send(project, event(kind="job", jobId="job-3", jobStatus="running"))


def refund(project: Any) -> None:
    usage(project, kind="refund", jobId="job-1", costDollars="1")


def set_limit(project: Any) -> None:
    limits.set_limit(project, Decimal(77), by=project.owner)


def reserve(project: Any) -> None:
    checks.reserve(project, 10**9, by=project.owner)


def end_reservation(project: Any) -> None:
    send(project, event(kind="job", jobId="job-2", jobStatus="succeeded", reservationId="held"))


def price(project: Any) -> None:
    assert list(corrections.add_missing_costs(project, lambda row: Price(5 * 10**9)))


def rename(project: Any) -> None:
    project.name = "Beacon"
    project.save()


def relabel(project: Any) -> None:
    agent_type = AgentType.objects.get(project=project, slug="testing")
    agent_type.label = "Trials"
    agent_type.save()


def relabel_everywhere(project: Any) -> None:
    other = AgentType.objects.get(project=ProjectFactory(), slug="testing")
    other.color = "lime"
    other.apply_to_all_projects()


def rebuild(project: Any) -> None:
    rebuilding.rebuild(project)


CHANGES: list[Callable[[Any], None]] = [
    *(record, correct_status, start_a_job, refund, set_limit, reserve, end_reservation),
    *(price, rename, relabel, relabel_everywhere, rebuild),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_every_change_to_the_dashboard_renders_it_again(
    owner_client: Client, used: Any, change: Callable[[Any], None]
) -> None:
    limits.set_limit(used, Decimal(50), by=used.owner)
    if change is end_reservation:
        checks.reserve(used, 2 * 10**9, by=used.owner, reservation_id="held")
    if change is rebuild:
        MonthlySpend.objects.filter(project=used).update(cost_nanos=1)
    before = owner_client.get(url(used, "ai-cost-month"))
    change(used)
    after = owner_client.get(url(used, "ai-cost-month"), headers={"If-None-Match": before["ETag"]})
    assert after.status_code == 200
    assert after.content != before.content


def test_a_policy_change_changes_the_version(used: Any) -> None:
    before = used.version
    policies.set_policy(used, policies.WARN, by=used.owner)
    used.refresh_from_db()
    assert used.version != before


def test_a_rollback_leaves_the_cache_valid(owner_client: Client, used: Any) -> None:
    owner_client.get(url(used, "ai-cost"))
    with transaction.atomic():
        record(used)
        transaction.set_rollback(True)
    assert queries_for(owner_client, url(used, "ai-cost")) == ACCESS_QUERIES


def test_a_duplicate_leaves_the_cache_valid(owner_client: Client, used: Any) -> None:
    again = event(eventId="again", jobId="job-9", agentType="testing")
    send(used, again)
    owner_client.get(url(used, "ai-cost"))
    assert send(used, again) == ["duplicate"]
    assert queries_for(owner_client, url(used, "ai-cost")) == ACCESS_QUERIES


def test_the_forecast_is_computed_again_each_minute(owner_client: Client, used: Any, clock: Any) -> None:
    owner_client.get(url(used, "ai-cost-month"))
    clock.move_to(NOW + timedelta(seconds=59))
    assert queries_for(owner_client, url(used, "ai-cost-month")) == ACCESS_QUERIES
    clock.move_to(NOW + timedelta(seconds=60))
    assert queries_for(owner_client, url(used, "ai-cost-month")) > ACCESS_QUERIES


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_daily_figures_are_computed_again_each_day_of_the_billing_zone(
    owner: Any, owner_client: Client, clock: Any, zone: str
) -> None:
    project = ProjectFactory(owner=owner, time_zone=zone)
    send(project, event())
    midnight = {"Pacific/Kiritimati": 10, "Pacific/Pago_Pago": 11}[zone]
    clock.move_to(NOW.replace(hour=midnight, minute=0) - timedelta(seconds=1))
    owner_client.get(url(project, "ai-cost-daily"))
    assert queries_for(owner_client, url(project, "ai-cost-daily")) == ACCESS_QUERIES
    clock.shift(1)
    assert queries_for(owner_client, url(project, "ai-cost-daily")) > ACCESS_QUERIES


# Cached answers belong to no user


def test_two_products_with_the_same_version_have_separate_answers(
    owner_client: Client, owner: Any, used: Any
) -> None:
    other = ProjectFactory(owner=owner)
    Project.objects.update(version=5)  # as after a migration
    assert read(owner_client, used, "getMonthlySummary")["totalCost"] == 2
    assert read(owner_client, other, "getMonthlySummary")["totalCost"] == 0


@pytest.mark.parametrize("name", FRAGMENTS)
def test_every_member_gets_the_same_fragment(owner_client: Client, viewer: Any, used: Any, name: str) -> None:
    content = owner_client.get(url(used, name)).content
    caches["answers"].clear()
    assert client_of(viewer).get(url(used, name)).content == content
    assert used.owner.username.encode() not in content


@pytest.mark.parametrize("name", ["ai-cost", *FRAGMENTS])
def test_strangers_do_not_get_cached_pages(owner_client: Client, stranger: Any, used: Any, name: str) -> None:
    etag = owner_client.get(url(used, name)).headers.get("ETag", "*")
    headers = {"If-None-Match": etag}
    assert client_of(stranger).get(url(used, name), headers=headers).status_code == 404
    params = {"projectId": str(used.pk)}
    read(owner_client, used, "getMonthlySummary")
    answer = trpc(client_of(stranger), "aiCost.getMonthlySummary", params).json()
    assert answer["error"]["data"]["code"] == "NOT_FOUND"
