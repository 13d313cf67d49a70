"""Checks before spending: whether the budget allows an estimate, and reserving it."""

import secrets
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet, Subquery, Sum
from django.utils import timezone

from billing import ledger, money, periods
from billing.budgets import limits, policies
from billing.ledger import reservations
from billing.models import BillingSetting, BudgetReservation, MonthlySpend
from products.models import Project

MAX_RESERVED_NANOS = limits.MAX_LIMIT_DOLLARS * money.NANOS_PER_DOLLAR
"""Without a limit, or if it only warns, nothing else bounds reservations; sums must fit into 64 bits."""


@dataclass(frozen=True)
class MonthBudget:
    """A project's limit, spend and reservations in the current month of its billing time zone."""

    limit_nanos: int | None
    policy: str
    spent_nanos: int
    reserved_nanos: int

    @property
    def remaining_nanos(self) -> int | None:
        """Limit minus spend; reservations are not subtracted. Negative above the limit, None without one."""
        return None if self.limit_nanos is None else self.limit_nanos - self.spent_nanos

    @property
    def state(self) -> money.BudgetState | None:
        status = limits.status(self.limit_nanos, self.spent_nanos)
        return status.state if status else None

    def allows(self, estimate_nanos: int) -> bool:
        if self.limit_nanos is None or self.policy == policies.WARN:
            return True
        committed = self.spent_nanos + self.reserved_nanos + estimate_nanos
        return self.spent_nanos < self.limit_nanos and committed <= self.limit_nanos


@dataclass(frozen=True)
class BudgetCheck:
    allowed: bool
    budget: MonthBudget
    reservation: BudgetReservation | None = None
    """What was reserved; None after `check`, or if it is not allowed."""


def check(project: Project, estimate_nanos: int = 0) -> BudgetCheck:
    """Check an estimate. This reserves nothing: others may spend or reserve in the next moment."""
    budget = _month_budget(project)
    return BudgetCheck(budget.allows(estimate_nanos), budget)


@transaction.atomic
def reserve(project: Project, estimate_nanos: int, *, by: Any, reservation_id: str = "") -> BudgetCheck:
    """Reserve the estimate if the budget allows it, under the project's lock: no two callers get the same.

    Reserving again under an id replaces its reservation, which does not count against the new estimate. If
    the new estimate is not allowed, the old reservation stays: its sender was promised it.
    """
    project = ledger.lock(project)
    others = _month_budget(project, without=reservation_id)
    if not others.allows(estimate_nanos):
        return BudgetCheck(False, _month_budget(project))
    if others.reserved_nanos + estimate_nanos > MAX_RESERVED_NANOS:
        most = f"{limits.MAX_LIMIT_DOLLARS:,}"
        raise ValidationError({"estimateDollars": f"no more than {most} dollars can be reserved at a time"})
    reservation = reservations.hold(
        project, reservation_id or secrets.token_urlsafe(16), estimate_nanos, by=by
    )
    project.renew_version()
    budget = replace(others, reserved_nanos=others.reserved_nanos + estimate_nanos)
    return BudgetCheck(True, budget, reservation)


def _month_budget(project: Project, without: str = "") -> MonthBudget:
    """Read everything in one statement, so that usage that ends a reservation is counted exactly once.

    `without` is the id of a reservation that is not counted.
    """
    reserved = reservations.active().filter(project=project).exclude(reservation_id=without)
    today = periods.day_of(timezone.now(), periods.zone(project.time_zone))
    spent = MonthlySpend.objects.filter(project=project, month=periods.month_of(today))
    figures = {
        "limit": _setting(project, limits.KEY),
        "policy": _setting(project, policies.KEY),
        "spent": _sum(spent, "cost_nanos"),
        "reserved": _sum(reserved, "estimate_nanos"),
    }
    found = Project.objects.filter(pk=project.pk).annotate(**figures).values(*figures).get()
    return MonthBudget(
        limit_nanos=limits.nanos_of(found["limit"]),
        policy=policies.read(found["policy"]),
        spent_nanos=found["spent"] or 0,
        reserved_nanos=found["reserved"] or 0,
    )


def _setting(project: Project, key: str) -> Subquery:
    return Subquery(BillingSetting.objects.filter(project=project, key=key).values("value"))


def _sum(rows: QuerySet[Any], column: str) -> Subquery:
    return Subquery(rows.order_by().values("project").annotate(total=Sum(column)).values("total"))
