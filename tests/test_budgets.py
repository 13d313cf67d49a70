"""One function sets limits; their history is kept, and past months keep their limit."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError

from billing.budgets import limits as budget_limits
from billing.models import BillingSetting, BudgetChange
from tests.conftest import NOW

pytestmark = pytest.mark.usefixtures("clock")


def stored(project) -> list[str]:
    return list(
        BillingSetting.objects.filter(project=project, key=budget_limits.KEY).values_list("value", flat=True)
    )


def test_the_limit_is_stored_as_a_plain_decimal_string(project, owner):
    for dollars, text in (("250", "250"), ("99.50", "99.5"), ("1E+3", "1000"), ("0.01", "0.01")):
        budget_limits.set_limit(project, Decimal(dollars), by=owner)
        assert stored(project) == [text]


def test_the_history_says_who_changed_it_when_from_what_to_what(project, owner, manager):
    budget_limits.set_limit(project, Decimal(100), by=owner, note="start")
    budget_limits.set_limit(project, Decimal(250), by=manager)
    budget_limits.set_limit(project, None, by=owner)
    history = BudgetChange.objects.filter(project=project).order_by("pk")
    dollar = 10**9
    assert [(c.changed_by, c.old_limit_nanos, c.new_limit_nanos, c.note) for c in history] == [
        (owner, None, 100 * dollar, "start"),
        (manager, 100 * dollar, 250 * dollar, ""),
        (owner, 250 * dollar, None, ""),
    ]
    assert {c.changed_at for c in history} == {NOW}
    assert stored(project) == []


def test_setting_the_current_limit_changes_nothing(project, owner):
    assert budget_limits.set_limit(project, Decimal(100), by=owner)
    assert budget_limits.set_limit(project, Decimal("100.00"), by=owner) is None
    assert BudgetChange.objects.count() == 1


@pytest.mark.parametrize("wrong", ["0", "-1", "NaN", "Infinity", "0.001", "1000000000.01", "1e15"])
def test_a_limit_out_of_range_is_refused_and_nothing_is_stored(project, owner, wrong):
    with pytest.raises(ValidationError):
        budget_limits.set_limit(project, Decimal(wrong), by=owner)
    assert stored(project) == []
    assert not BudgetChange.objects.exists()


def test_the_largest_limit_is_accepted(project, owner):
    budget_limits.set_limit(project, Decimal(1_000_000_000), by=owner)
    assert budget_limits.limits_now([project]) == {project.pk: 10**18}


def test_past_months_keep_the_limit_in_force_at_their_end(project, owner, clock):
    clock.move_to(datetime(2026, 1, 31, 23, 59, 59, 999999, tzinfo=UTC))
    budget_limits.set_limit(project, Decimal(100), by=owner)
    clock.move_to(datetime(2026, 2, 1, tzinfo=UTC))
    budget_limits.set_limit(project, Decimal(200), by=owner)
    clock.move_to(NOW)
    budget_limits.set_limit(project, Decimal(300), by=owner)
    limits = [budget_limits.limit_of(project, date(2026, month, 1)) for month in (1, 2, 3)]
    assert limits == [100 * 10**9, 200 * 10**9, 300 * 10**9]
    assert budget_limits.limit_of(project, date(2025, 12, 1)) is None


def test_a_month_ends_in_the_billing_time_zone(project, owner, clock):
    project.time_zone = "Pacific/Kiritimati"  # UTC+14: February begins there on 31 January, 10:00 UTC
    project.save()
    clock.move_to(datetime(2026, 1, 31, 10, tzinfo=UTC) - timedelta(microseconds=1))
    budget_limits.set_limit(project, Decimal(100), by=owner)
    clock.move_to(datetime(2026, 1, 31, 10, tzinfo=UTC))
    budget_limits.set_limit(project, Decimal(200), by=owner)
    clock.move_to(NOW)
    assert budget_limits.limit_of(project, date(2026, 1, 1)) == 100 * 10**9
    assert budget_limits.limit_of(project, date(2026, 2, 1)) == 200 * 10**9
