"""Before spending: may an estimate be spent, and reserving it so that nobody else is told the same."""

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

MOST_HELD_NANOS = limits.MAX_LIMIT_DOLLARS * money.NANOS_PER_DOLLAR
"""Only without a limit, or where it just warns, could more be held; sums have to stay within 64 bits."""


@dataclass(frozen=True)
class Standing:
    """A project's budget as it stands in the present month of its billing zone."""

    limit_nanos: int | None
    policy: str
    spent_nanos: int
    held_nanos: int

    @property
    def remaining_nanos(self) -> int | None:
        """What is not spent; of this `held_nanos` is spoken for. Negative beyond the limit."""
        return None if self.limit_nanos is None else self.limit_nanos - self.spent_nanos

    @property
    def state(self) -> money.BudgetState | None:
        status = limits.status(self.limit_nanos, self.spent_nanos)
        return status.state if status else None

    def allows(self, estimate_nanos: int) -> bool:
        if self.limit_nanos is None or self.policy == policies.WARN:
            return True
        committed = self.spent_nanos + self.held_nanos + estimate_nanos
        return self.spent_nanos < self.limit_nanos and committed <= self.limit_nanos


@dataclass(frozen=True)
class Answer:
    allowed: bool
    standing: Standing
    reservation: BudgetReservation | None = None
    """What is held; None where nothing was asked to be, or it is not allowed."""


def check(project: Project, estimate_nanos: int = 0) -> Answer:
    """Changes nothing, and promises nothing: others may spend or reserve in the next moment."""
    standing = _standing(project)
    return Answer(standing.allows(estimate_nanos), standing)


@transaction.atomic
def reserve(project: Project, estimate_nanos: int, *, by: Any, reservation_id: str = "") -> Answer:
    """Hold the estimate, if the budget allows it; callers of one project queue, so that no two get the same.

    Asking again under an id asks anew: what it held does not count against it, and is replaced if
    the new estimate is allowed. If not, it stays as it was, for whoever was told that it is held.
    """
    project = ledger.lock(project)
    others = _standing(project, besides=reservation_id)
    if not others.allows(estimate_nanos):
        return Answer(False, _standing(project))
    if others.held_nanos + estimate_nanos > MOST_HELD_NANOS:
        most = f"{limits.MAX_LIMIT_DOLLARS:,}"
        raise ValidationError({"estimateDollars": f"no more than {most} dollars can be reserved at a time"})
    held = reservations.hold(project, reservation_id or secrets.token_urlsafe(16), estimate_nanos, by=by)
    project.renew_version()
    return Answer(True, replace(others, held_nanos=others.held_nanos + estimate_nanos), held)


def _standing(project: Project, besides: str = "") -> Standing:
    """Read in one statement: usage that ends a reservation is never counted twice, nor missed.

    `besides`: a reservation that is not counted.
    """
    held = reservations.active().filter(project=project).exclude(reservation_id=besides)
    today = periods.day_of(timezone.now(), periods.zone(project.time_zone))
    spent = MonthlySpend.objects.filter(project=project, month=periods.month_of(today))
    figures = {
        "limit": _setting(project, limits.KEY),
        "policy": _setting(project, policies.KEY),
        "spent": _sum(spent, "cost_nanos"),
        "held": _sum(held, "estimate_nanos"),
    }
    found = Project.objects.filter(pk=project.pk).annotate(**figures).values(*figures).get()
    return Standing(
        limit_nanos=limits.nanos_of(found["limit"]),
        policy=policies.read(found["policy"]),
        spent_nanos=found["spent"] or 0,
        held_nanos=found["held"] or 0,
    )


def _setting(project: Project, key: str) -> Subquery:
    return Subquery(BillingSetting.objects.filter(project=project, key=key).values("value"))


def _sum(rows: QuerySet[Any], column: str) -> Subquery:
    return Subquery(rows.order_by().values("project").annotate(total=Sum(column)).values("total"))
