"""What is kept of pages and answers: never an old figure, and nothing of who asked."""

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
from billing.rollups import rebuilding
from products.models import AgentType, Project
from tests.calls import trpc
from tests.conftest import NOW
from tests.factories import ProjectFactory, event, send, usage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

FRAGMENTS = ("ai-cost-month", "ai-cost-daily", "ai-cost-tabs")
READS = ("getMonthlySummary", "getMonthlyTrend", "getRecentTransactions")
LETS_IN = 3
"""Questions to the database before anything else: session, user, product."""
PATIENCE = 30


@pytest.fixture
def used(project: Any) -> Any:
    usage(project, costDollars="2", agentType="testing", jobId="job-1")
    usage(project, eventId="dear", model="no-such-model", costDollars=None, inputTokens=5, jobId="job-2")
    return Project.objects.get(pk=project.pk)


@pytest.fixture
def owners(owner: Any) -> Client:
    return signed_in(owner)


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def url(project: Any, name: str) -> str:
    return reverse(name, args=[project.pk])


def questions(client: Client, address: str, **headers: str) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert client.get(address, headers=headers).status_code in (200, 304)
    return len(asked)


def read(client: Client, project: Any, name: str) -> Any:
    response = trpc(client, f"aiCost.{name}", {"projectId": str(project.pk)})
    assert response.status_code == 200
    return response.json()["result"]["data"]


# What is kept is not worked out again


@pytest.mark.parametrize("name", ["ai-cost", *FRAGMENTS])
def test_what_has_not_changed_asks_for_access_alone(owners: Client, used: Any, name: str) -> None:
    assert questions(owners, url(used, name)) > LETS_IN
    assert questions(owners, url(used, name)) == LETS_IN


@pytest.mark.parametrize("name", FRAGMENTS)
def test_a_browser_that_has_it_is_told_so_without_its_being_made(
    owners: Client, used: Any, name: str
) -> None:
    etag = owners.get(url(used, name))["ETag"]
    caches["answers"].clear()
    assert questions(owners, url(used, name), **{"If-None-Match": etag}) == LETS_IN


@pytest.mark.parametrize("name", READS)
def test_answers_are_kept_and_the_same(owners: Client, used: Any, name: str) -> None:
    first = read(owners, used, name)
    with CaptureQueriesContext(connection) as asked:
        assert read(owners, used, name) == first
    assert len(asked) == LETS_IN


def test_another_month_and_another_input_are_another_answer(owners: Client, used: Any) -> None:
    answers = [
        trpc(owners, "aiCost.getDailySpend", {"projectId": str(used.pk), **more}).json()["result"]["data"]
        for more in ({"days": 7}, {"days": 14}, {"days": 7, "month": "2026-01"})
    ]
    assert [len(answer) for answer in answers] == [7, 14, 7]
    assert answers[0] != answers[2]


def test_an_answer_in_error_is_not_kept(owners: Client, used: Any) -> None:
    for _ in range(2):
        response = trpc(owners, "aiCost.getMonthlyTrend", {"projectId": str(used.pk), "month": "2999-01"})
        assert "month" in response.json()["error"]["message"]


def side_by_side(owner: Any) -> tuple[dict[str, tuple[Any, ...]], list[set[str]]]:
    """The owner's products as the portfolio has them now, and whom it asked about, question by question."""
    projects = list(Project.objects.filter(owner=owner))
    with CaptureQueriesContext(connection) as asked:
        found = queries.portfolio(projects).projects
    told = {row.project.name: (row.cost, row.trend, row.outlook, row.budget) for row in found}
    whom = [re.findall(r" IN \(([^)]+)\)", query["sql"]) for query in asked]
    return told, [set(", ".join(ids).split(", ")) for ids in whom]


def test_the_portfolio_asks_of_the_products_that_changed_alone(owner: Any, used: Any) -> None:
    others = [ProjectFactory(owner=owner, name=f"Beside {number}") for number in range(3)]
    for other in others:
        usage(other, costDollars="3")
    everybody = {str(one.pk) for one in (used, *others)}
    assert side_by_side(owner)[1] == [everybody] * 3
    assert side_by_side(owner)[1] == []
    usage(others[1], costDollars="4")
    told, whom = side_by_side(owner)
    assert whom == [{str(others[1].pk)}] * 3
    assert told["Beside 1"][0] == 7 * NANOS_PER_DOLLAR
    caches["project figures"].clear()
    assert side_by_side(owner) == (told, [everybody] * 3)


def both(one: Callable[[], object], other: Callable[[], object]) -> None:
    with ThreadPoolExecutor(2) as threads:
        for asked in [threads.submit(one), threads.submit(other)]:
            asked.result(timeout=PATIENCE)


def test_of_two_who_miss_an_answer_at_once_one_makes_it(monkeypatch: Any) -> None:
    monkeypatch.setattr(cache, "_LOCK_TIMEOUT", PATIENCE)
    made: list[str] = []
    lookups, missed, makes_too, store = count(), Barrier(2), Event(), caches["answers"]

    class Missed:
        """Both have looked before either makes it."""

        set = store.set

        def get(self, key: str) -> Any:
            found = store.get(key)
            if next(lookups) < 2:
                missed.wait(PATIENCE)
            return found

    monkeypatch.setattr(cache, "caches", {"answers": Missed()})

    def make() -> str:
        made.append("it")
        if len(made) == 1:
            makes_too.wait(0.5)  # time enough for another, were there one
        else:
            makes_too.set()
        return "it"

    both(partial(cache.get_or_make, "twice", make), partial(cache.get_or_make, "twice", make))
    assert made == ["it"]


def test_nobody_waits_for_one_who_is_stuck(monkeypatch: Any) -> None:
    monkeypatch.setattr(cache, "_LOCK_TIMEOUT", 0.01)
    begun, other_has_it = Event(), Event()

    def stuck() -> str:
        begun.set()
        assert other_has_it.wait(PATIENCE)
        return "late"

    def other() -> None:
        assert begun.wait(PATIENCE)
        assert cache.get_or_make("stuck", lambda: "made") == "made"
        other_has_it.set()

    both(partial(cache.get_or_make, "stuck", stuck), other)


# It is never an old one


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
    assert list(corrections.add_missing_costs(project, lambda one: 5 * 10**9))


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


def mend(project: Any) -> None:
    rebuilding.rebuild(project)


CHANGES: list[Callable[[Any], None]] = [
    *(record, correct_status, start_a_job, refund, set_limit, reserve, end_reservation),
    *(price, rename, relabel, relabel_everywhere, mend),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_whatever_changes_the_dashboard_makes_it_anew(
    owners: Client, used: Any, change: Callable[[Any], None]
) -> None:
    limits.set_limit(used, Decimal(50), by=used.owner)
    if change is end_reservation:
        checks.reserve(used, 2 * 10**9, by=used.owner, reservation_id="held")
    if change is mend:
        MonthlySpend.objects.filter(project=used).update(cost_nanos=1)
    before = owners.get(url(used, "ai-cost-month"))
    change(used)
    after = owners.get(url(used, "ai-cost-month"), headers={"If-None-Match": before["ETag"]})
    assert after.status_code == 200
    assert after.content != before.content


def test_a_change_of_the_policy_renews_it_too(used: Any) -> None:
    before = used.version
    policies.set_policy(used, policies.WARN, by=used.owner)
    used.refresh_from_db()
    assert used.version != before


def test_what_was_rolled_back_leaves_what_is_kept(owners: Client, used: Any) -> None:
    owners.get(url(used, "ai-cost"))
    with transaction.atomic():
        record(used)
        transaction.set_rollback(True)
    assert questions(owners, url(used, "ai-cost")) == LETS_IN


def test_what_is_known_already_leaves_it_too(owners: Client, used: Any) -> None:
    told = event(eventId="again", jobId="job-9", agentType="testing")
    send(used, told)
    owners.get(url(used, "ai-cost"))
    assert send(used, told) == ["duplicate"]
    assert questions(owners, url(used, "ai-cost")) == LETS_IN


def test_the_forecast_moves_with_the_minute(owners: Client, used: Any, clock: Any) -> None:
    owners.get(url(used, "ai-cost-month"))
    clock.move_to(NOW + timedelta(seconds=59))
    assert questions(owners, url(used, "ai-cost-month")) == LETS_IN
    clock.move_to(NOW + timedelta(seconds=60))
    assert questions(owners, url(used, "ai-cost-month")) > LETS_IN


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_what_looks_at_the_date_moves_with_the_day_of_the_billing_zone(
    owner: Any, owners: Client, clock: Any, zone: str
) -> None:
    project = ProjectFactory(owner=owner, time_zone=zone)
    send(project, event())
    midnight = {"Pacific/Kiritimati": 10, "Pacific/Pago_Pago": 11}[zone]
    clock.move_to(NOW.replace(hour=midnight, minute=0) - timedelta(seconds=1))
    owners.get(url(project, "ai-cost-daily"))
    assert questions(owners, url(project, "ai-cost-daily")) == LETS_IN
    clock.shift(1)
    assert questions(owners, url(project, "ai-cost-daily")) > LETS_IN


# It is nobody's


def test_two_products_of_one_version_have_an_answer_each(owners: Client, owner: Any, used: Any) -> None:
    other = ProjectFactory(owner=owner)
    Project.objects.update(version=5)  # as a migration gives it
    assert read(owners, used, "getMonthlySummary")["totalCost"] == 2
    assert read(owners, other, "getMonthlySummary")["totalCost"] == 0


@pytest.mark.parametrize("name", FRAGMENTS)
def test_everybody_reads_the_same(owners: Client, viewer: Any, used: Any, name: str) -> None:
    shown = owners.get(url(used, name)).content
    caches["answers"].clear()
    assert signed_in(viewer).get(url(used, name)).content == shown
    assert used.owner.username.encode() not in shown


@pytest.mark.parametrize("name", ["ai-cost", *FRAGMENTS])
def test_strangers_are_not_shown_what_is_kept(owners: Client, stranger: Any, used: Any, name: str) -> None:
    etag = owners.get(url(used, name)).headers.get("ETag", "*")
    told = {"If-None-Match": etag}
    assert signed_in(stranger).get(url(used, name), headers=told).status_code == 404
    asked = {"projectId": str(used.pk)}
    read(owners, used, "getMonthlySummary")
    answer = trpc(signed_in(stranger), "aiCost.getMonthlySummary", asked).json()
    assert answer["error"]["data"]["code"] == "NOT_FOUND"
