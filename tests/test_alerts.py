"""Thresholds are crossed exactly, once, and only in the current month."""

import json
import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client, TestCase
from django.test.utils import CaptureQueriesContext

from billing import ledger
from billing.alerts import channels, crossings
from billing.budgets import limits
from billing.models import CreditTransaction
from billing.models.alerts import AlertDelivery, AlertSettings, BudgetAlert
from products import tokens
from products.models import Membership
from tests.conftest import NOW
from tests.factories import MembershipFactory, ProjectFactory, UserFactory, event, fields, usage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


def committed() -> Any:
    """Run the callbacks for a commit at the end of the block."""
    return TestCase.captureOnCommitCallbacks(execute=True)


def spend(project: Any, dollars: str, **more: Any) -> None:
    with committed():
        usage(project, costDollars=dollars, **more)


def refund(project: Any, dollars: str, **more: Any) -> None:
    spend(project, dollars, kind="refund", jobId="job-1", **more)


def limit(project: Any, dollars: str | None) -> None:
    with committed():
        limits.set_limit(project, None if dollars is None else Decimal(dollars), by=project.owner)


def choose(project: Any, *thresholds: int, **chosen: Any) -> None:
    settings = {"email_people": True, "email_more": [], "webhook_url": "", **chosen}
    with committed():
        channels.change(project, thresholds=thresholds or (80, 100), **settings)


def crossed(project: Any) -> list[tuple[int, int]]:
    """Threshold and crossing number of each alert, oldest first."""
    alerts = BudgetAlert.objects.filter(project=project).order_by("pk")
    return list(alerts.values_list("threshold", "crossing"))


def notified(project: Any) -> list[tuple[int, int]]:
    """Those of the alerts that messages were queued for."""
    alerts = BudgetAlert.objects.filter(project=project, deliveries__isnull=False).order_by("pk").distinct()
    return list(alerts.values_list("threshold", "crossing"))


@pytest.fixture(autouse=True)
def mail_server(settings: Any) -> None:
    settings.EMAIL_URL = "smtp://127.0.0.1:25"


@pytest.fixture
def limited(project: Any) -> Any:
    limit(project, "100")
    return project


# ---- When thresholds are crossed


@pytest.mark.parametrize(
    ("spent", "of", "message"),
    [
        ("79.999", [], []),
        ("79.999999999", [], []),
        ("80", [(80, 1)], [(80, 1)]),
        ("99.999", [(80, 1)], [(80, 1)]),
        ("100", [(80, 1), (100, 1)], [(100, 1)]),
        ("100.001", [(80, 1), (100, 1)], [(100, 1)]),
    ],
)
def test_a_threshold_is_crossed_exactly_at_its_percentage(
    limited: Any, spent: str, of: list[Any], message: list[Any]
) -> None:
    spend(limited, spent)
    assert crossed(limited) == of
    assert notified(limited) == message


def test_thresholds_crossed_one_after_the_other_are_notified_one_by_one(limited: Any) -> None:
    for dollars in ("79", "1", "19", "1", "50"):
        spend(limited, dollars)
    assert crossed(limited) == notified(limited) == [(80, 1), (100, 1)]


def test_an_alert_stores_the_spend_and_the_limit(limited: Any) -> None:
    spend(limited, "85.5")
    alert = BudgetAlert.objects.get()
    assert (alert.spent_nanos, alert.limit_nanos) == (85_500_000_000, 100_000_000_000)
    assert alert.crossed_at == NOW
    assert alert.month.isoformat() == "2026-03-01"


def test_a_refund_below_the_threshold_arms_it_again(limited: Any) -> None:
    spend(limited, "80")
    refund(limited, "0.000000001")
    spend(limited, "1")
    assert notified(limited) == [(80, 1), (80, 2)]


def test_a_refund_that_stays_above_arms_nothing(limited: Any) -> None:
    spend(limited, "90")
    refund(limited, "10")
    spend(limited, "5")
    assert crossed(limited) == [(80, 1)]


def test_only_the_threshold_that_spend_fell_below_is_armed_again(limited: Any) -> None:
    spend(limited, "100")
    refund(limited, "10")
    spend(limited, "10")
    assert crossed(limited) == [(80, 1), (100, 1), (100, 2)]
    assert notified(limited) == [(100, 1), (100, 2)]


def test_a_higher_limit_arms_and_a_lower_one_crosses(limited: Any) -> None:
    spend(limited, "90")
    limit(limited, "200")
    assert crossed(limited) == [(80, 1)]
    limit(limited, "100")
    assert notified(limited) == [(80, 1), (80, 2)]
    limit(limited, "50")
    assert notified(limited) == [(80, 1), (80, 2), (100, 1)]


def test_a_first_limit_below_the_spend_is_notified(project: Any) -> None:
    spend(project, "90")
    assert crossed(project) == []
    limit(project, "90")
    assert notified(project) == [(100, 1)]


def test_without_a_limit_nothing_is_crossed_and_everything_is_armed(limited: Any) -> None:
    spend(limited, "100")
    limit(limited, None)
    spend(limited, "100")
    assert len(crossed(limited)) == 2
    assert not BudgetAlert.objects.filter(ended_at=None).exists()
    limit(limited, "100")
    assert notified(limited) == [(100, 1), (100, 2)]


def test_usage_of_a_past_month_alerts_nobody(limited: Any) -> None:
    spend(limited, "500", occurredAt="2026-02-28T23:59:59.999999Z")
    assert crossed(limited) == []
    spend(limited, "80", occurredAt="2026-03-01T00:00:00Z")
    assert crossed(limited) == [(80, 1)]


def test_each_month_counts_for_itself(limited: Any, clock: Any) -> None:
    spend(limited, "80")
    clock.move_to(datetime(2026, 4, 1, tzinfo=UTC))
    spend(limited, "100", occurredAt="2026-03-20T00:00:00Z")
    spend(limited, "79", occurredAt="2026-04-01T00:00:00Z")
    assert crossed(limited) == [(80, 1)]
    spend(limited, "1", occurredAt="2026-04-01T00:00:00Z")
    assert crossed(limited) == [(80, 1), (80, 1)]


def test_usage_of_a_future_month_is_notified_when_the_month_begins(limited: Any, clock: Any) -> None:
    clock.move_to(datetime(2026, 3, 31, 23, 30, tzinfo=UTC))
    spend(limited, "80", occurredAt="2026-04-01T00:10:00Z")
    call_command("send_alerts")
    assert crossed(limited) == []
    clock.move_to(datetime(2026, 4, 1, tzinfo=UTC))
    crossings.evaluate_all()
    assert notified(limited) == [(80, 1)]


def test_the_billing_time_zone_decides_which_month_is_current(owner: Any, clock: Any) -> None:
    far = ProjectFactory(owner=owner, time_zone="Pacific/Kiritimati")  # UTC+14
    limit(far, "100")
    clock.move_to(datetime(2026, 3, 31, 10, tzinfo=UTC))
    spend(far, "80", occurredAt="2026-03-31T09:59:59Z")
    assert crossed(far) == []
    spend(far, "80", occurredAt="2026-03-31T10:00:00Z")
    assert BudgetAlert.objects.get().month.isoformat() == "2026-04-01"


# ---- Chosen thresholds


def test_thresholds_are_the_products_own(limited: Any, other_project: Any) -> None:
    limit(other_project, "100")
    choose(limited, 150, 50)
    for product in (limited, other_project):
        spend(product, "100")
    spend(limited, "50")
    assert notified(limited) == [(50, 1), (150, 1)]
    assert notified(other_project) == [(100, 1)]


def test_a_new_threshold_is_notified_unless_a_higher_one_was(limited: Any) -> None:
    spend(limited, "95")
    choose(limited, 50, 80, 100)
    assert notified(limited) == [(80, 1)]
    choose(limited, 50, 80, 90, 100)
    assert notified(limited) == [(80, 1), (90, 1)]


def test_a_threshold_removed_and_added_again_is_not_notified_again(limited: Any) -> None:
    spend(limited, "85")
    choose(limited, 100)
    spend(limited, "1")
    choose(limited, 80, 100)
    spend(limited, "1")
    assert crossed(limited) == [(80, 1)]


def test_a_removed_threshold_is_armed_again_all_the_same(limited: Any) -> None:
    spend(limited, "85")
    choose(limited, 100)
    refund(limited, "50")
    choose(limited, 80, 100)
    spend(limited, "50")
    assert notified(limited) == [(80, 1), (80, 2)]


# ---- Who is notified


def addresses(project: Any) -> list[str]:
    return list(
        AlertDelivery.objects.filter(project=project).order_by("target").values_list("target", flat=True)
    )


def test_owner_and_managers_are_notified_and_nobody_else(limited: Any, superuser: Any, staff: Any) -> None:
    gone = UserFactory(username="gone", is_active=False)
    silent = UserFactory(username="silent", email="")
    for person in (gone, silent):
        MembershipFactory(project=limited, user=person, role=Membership.Role.MANAGER)
    spend(limited, "80")
    assert addresses(limited) == ["manager@example.com", "owner@example.com"]


def test_other_addresses_are_notified_once_each(limited: Any) -> None:
    choose(limited, email_more=["finance@example.com", "Owner@Example.com"])
    spend(limited, "80")
    assert [one.casefold() for one in addresses(limited)] == [
        *("finance@example.com", "manager@example.com", "owner@example.com")
    ]


def test_channels_that_are_off_get_nothing(limited: Any, settings: Any) -> None:
    choose(limited, email_people=False)
    spend(limited, "80")
    assert crossed(limited) == [(80, 1)]
    assert addresses(limited) == []
    settings.EMAIL_URL = ""
    choose(limited, webhook_url="https://hooks.example.com/x")
    spend(limited, "20")
    assert addresses(limited) == ["https://hooks.example.com/x"]


# ---- Alerts never get in the way of usage


def test_a_failed_evaluation_is_logged_and_made_up_for(
    limited: Any, owner: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, token = tokens.issue(owner, project=limited, scope="ingest")

    def broken(*_: Any) -> None:
        raise RuntimeError("the evaluation broke")

    with monkeypatch.context() as patched, committed():
        patched.setattr(crossings, "status_of", broken)
        answer = Client().post(
            "/api/v1/usage",
            json.dumps(fields(costDollars="80")),
            content_type="application/json",
            HTTP_AUTHORIZATION=f"Bearer {token}",
        )
    assert answer.status_code == 200, answer.content
    assert answer.json()["recorded"] == 1
    assert "the evaluation broke" in caplog.text
    assert CreditTransaction.objects.filter(project=limited).count() == 1
    assert crossed(limited) == []
    crossings.evaluate_all()
    assert notified(limited) == [(80, 1)]


def test_an_error_in_one_product_does_not_affect_the_others(
    limited: Any, owner: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    others = [ProjectFactory(owner=owner) for _ in range(2)]
    for each in others:
        limit(each, "100")
    for each in (limited, *others):
        usage(each, costDollars="80")  # not evaluated: the process died
    evaluate = crossings.evaluate

    def broken_for_one(project: Any) -> Any:
        if project == limited:
            raise RuntimeError("the evaluation broke")
        return evaluate(project)

    monkeypatch.setattr(crossings, "evaluate", broken_for_one)
    with caplog.at_level(logging.ERROR):
        assert crossings.evaluate_all() == 2
    assert [crossed(each) for each in others] == [[(80, 1)]] * 2


@pytest.mark.parametrize(
    ("before", "most"),
    [
        ([], 1),  # the sums and the limit
        (["80"], 2),  # and which thresholds are active
        (["80", "20"], 2),
    ],
)
def test_an_evaluation_that_finds_nothing_runs_one_or_two_queries(
    limited: Any, before: list[str], most: int
) -> None:
    for dollars in before:
        spend(limited, dollars)
    with CaptureQueriesContext(connection) as queries:
        assert crossings.evaluate(limited) is None
    assert len(queries) == most


def test_a_batch_without_spend_in_this_month_runs_no_query(limited: Any) -> None:
    for usage_event in (
        event(kind="job"),
        event(occurredAt="2026-02-01T00:00:00Z", costDollars="500"),
        event(kind="grant", costDollars="500"),
        event(costDollars="0"),
    ):
        with committed() as heard:
            ledger.record(limited, [usage_event])
        with CaptureQueriesContext(connection) as queries:
            for callback in heard:
                callback()
        assert len(queries) == 0


def test_what_is_rolled_back_alerts_nobody(limited: Any) -> None:
    with committed() as heard, transaction.atomic():
        usage(limited, costDollars="500")
        transaction.set_rollback(True)
    assert heard == []
    assert crossings.evaluate_all() == 0


def test_all_budgets_are_evaluated_by_as_many_queries_as_one(limited: Any, owner: Any) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as counted:
            assert crossings.evaluate_all() == 0
        return len(counted)

    spend(limited, "80")
    before = queries()
    for zone in ("UTC", "Europe/Berlin", "UTC"):
        each = ProjectFactory(owner=owner, time_zone=zone)
        limit(each, "100")
        spend(each, "90")
    assert queries() == before


def test_an_archived_product_alerts_nobody(limited: Any) -> None:
    limited.archived_at = NOW
    limited.save()
    spend(limited, "100")
    assert crossings.evaluate_all() == 0
    assert crossed(limited) == []


def test_a_second_alert_of_one_crossing_is_impossible(limited: Any) -> None:
    spend(limited, "80")
    alert = BudgetAlert.objects.get()
    alert.pk, alert.ended_at = None, NOW
    with pytest.raises(IntegrityError), transaction.atomic():
        alert.save(force_insert=True)


# ---- Valid choices


@pytest.mark.parametrize("wrong", [[], [0], [1001], [-5], list(range(1, 12))])
def test_thresholds_out_of_range_are_refused(project: Any, wrong: list[int]) -> None:
    with pytest.raises(Exception, match="1 to 10 whole percentages"):
        channels.change(project, thresholds=wrong, email_people=True, email_more=[], webhook_url="")
    assert not AlertSettings.objects.exists()


def test_thresholds_are_stored_ascending_and_each_once(project: Any) -> None:
    choose(project, 100, 1, 1000, 100)
    assert channels.chosen(project).percents == [1, 100, 1000]


def test_the_latest_alert_is_what_people_see_first(limited: Any, clock: Any) -> None:
    spend(limited, "80")
    clock.shift(timedelta(hours=1))
    spend(limited, "20")
    newest = AlertDelivery.objects.order_by("-created_at", "-pk")[0]
    assert newest.alert
    assert newest.alert.threshold == 100
