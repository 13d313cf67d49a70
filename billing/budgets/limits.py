"""Monthly budget limits: one function sets them, and the history says which limit was in force when."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Subquery
from django.utils import timezone

from billing import ledger, money, periods, signals
from billing.models import BillingSetting, BudgetChange
from products import audit
from products.models import Project

KEY = "ai_budget_monthly_limit"
"""The billing setting whose value is the limit, in dollars as a plain decimal string."""
MAX_LIMIT_DOLLARS = 1_000_000_000


@dataclass(frozen=True)
class BudgetStatus:
    """A month's spend against its limit."""

    limit_nanos: int
    spent_nanos: int

    @property
    def state(self) -> money.BudgetState:
        return money.budget_state(self.spent_nanos, self.limit_nanos)

    @property
    def percent(self) -> float:
        return money.budget_percent(self.spent_nanos, self.limit_nanos)

    @property
    def cut_percent(self) -> Decimal:
        """For text: rounded down."""
        return money.cut_percent(self.spent_nanos, self.limit_nanos)


def status(limit_nanos: int | None, spent_nanos: int) -> BudgetStatus | None:
    return None if limit_nanos is None else BudgetStatus(limit_nanos, spent_nanos)


def limit_nanos(dollars: Decimal) -> int:
    """Check a limit and convert it to nano-dollars. Raises `ValidationError`."""
    if not dollars.is_finite() or not 0 < dollars <= MAX_LIMIT_DOLLARS:
        raise ValidationError(
            "A limit must be more than 0 and at most 1,000,000,000 dollars.", code="limit_range"
        )
    if dollars != round(dollars, 2):
        raise ValidationError("A limit must have at most two decimals.", code="limit_decimals")
    return money.nanos_from_dollars(dollars)


def limits_now(projects: Iterable[Project]) -> dict[int, int]:
    """Current limits in nano-dollars by project id, without projects that have none."""
    rows = BillingSetting.objects.filter(project__in=projects, key=KEY).values_list("project_id", "value")
    return {project: money.nanos_from_dollars(Decimal(value)) for project, value in rows}


def limit_of(project: Project, month: date) -> int | None:
    """The limit in force at the end of a month, in nano-dollars; for the current month, the current limit."""
    return limits_of(project, [month])[month]


def limits_of(project: Project, months: Sequence[date]) -> dict[date, int | None]:
    """`limit_of` for several months, in one query."""
    limits = {f"limit_{number}": limit_in_force(project, month) for number, month in enumerate(months)}
    found = Project.objects.filter(pk=project.pk).annotate(**limits).values_list(*limits).get()
    return {month: nanos_of(value) for month, value in zip(months, found, strict=True)}


def limit_in_force(project: Project, month: date) -> Subquery:
    """`limit_of` as a subquery, whose value `nanos_of` converts."""
    end = periods.month_end(month, periods.zone(project.time_zone))
    if end > timezone.now():
        return Subquery(BillingSetting.objects.filter(project=project, key=KEY).values("value"))
    changes = BudgetChange.objects.filter(project=project, changed_at__lt=end)
    return Subquery(changes.order_by("-changed_at", "-pk").values("new_limit_nanos")[:1])


def nanos_of(value: str | int | None) -> int | None:
    """Convert a setting's text or the history's number to nano-dollars."""
    return money.nanos_from_dollars(Decimal(value)) if isinstance(value, str) else value


@transaction.atomic
def set_limit(
    project: Project, dollars: Decimal | None, *, by: Any, note: str = "", at: datetime | None = None
) -> BudgetChange | None:
    """Set, change or (with None) remove a project's monthly limit, and record who did and when.

    `at` defaults to now. Returns the history's new entry, or None if nothing changed. Raises
    `ValidationError` for an invalid limit. The caller has checked that `by` may do this.
    """
    new = None if dollars is None else limit_nanos(dollars)
    project = ledger.lock(project)
    old = limits_now([project]).get(project.pk)
    if old == new:
        return None
    if new is None:
        BillingSetting.objects.filter(project=project, key=KEY).delete()
    else:
        value = money.plain(money.decimal_dollars(new))
        BillingSetting.objects.update_or_create(project=project, key=KEY, defaults={"value": value})
    project.renew_version()
    signals.announce(project)
    at = at or timezone.now()
    change = f"{_dollars(old)} → {_dollars(new)}{note and f': {note}'}"
    audit.record(audit.Kind.BUDGET_CHANGED, by=by, project=project, detail=change, at=at)
    return BudgetChange.objects.create(
        project=project,
        changed_at=at,
        changed_by=by,
        old_limit_nanos=old,
        new_limit_nanos=new,
        note=note,
    )


def _dollars(nanos: int | None) -> str:
    return "no limit" if nanos is None else money.exact(nanos)
