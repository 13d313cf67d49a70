"""How projects stand in their present month: spend against the limit, and what is crossed already.

Asked after every batch of usage, so that it is one statement written by hand: putting it together
by the ORM took longer than the database's answer. A second is asked only where thresholds stand.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from billing import clock, money, periods
from billing.budgets import limits
from billing.models import BillingSetting, MonthlySpend
from billing.models.alerts import DEFAULT_THRESHOLDS, AlertSettings, BudgetAlert, percents
from products.models import Project


@dataclass(frozen=True)
class Standing:
    project_id: int
    month: date
    limit_nanos: int | None
    spent_nanos: int
    thresholds: Collection[int]
    standing: frozenset[int]
    """The thresholds that stand as crossed."""

    def passed(self, percent: int) -> bool:
        return self.limit_nanos is not None and self.spent_nanos * 100 >= self.limit_nanos * percent

    @property
    def crossed(self) -> list[int]:
        return sorted(one for one in self.thresholds if self.passed(one) and one not in self.standing)

    @property
    def ended(self) -> list[int]:
        """Armed again, also those that were taken off the list since."""
        return [one for one in self.standing if not self.passed(one)]

    @property
    def moved(self) -> bool:
        return bool(self.crossed or self.ended)

    @property
    def told(self) -> int | None:
        """The one to tell of: the highest crossed, unless a higher one stands and was told already."""
        highest = max(self.crossed, default=0)
        return highest if highest > max(self.standing.difference(self.ended), default=0) else None


def month_at(zone: str, now: datetime) -> date:
    return periods.month_of(periods.day_of(now, periods.zone(zone)))


def standing_of(project: Project) -> Standing | None:
    """None for a product in the archive."""
    return next(standings([project.pk], clock.this_month(project)), None)


_AT_ONCE = 500
_PROJECT, _SETTING, _SPEND, _CHOICE, _ALERT = (
    model._meta.db_table for model in (Project, BillingSetting, MonthlySpend, AlertSettings, BudgetAlert)
)
_QUERY = f"""
    SELECT p.id,
        (SELECT value FROM {_SETTING} WHERE project_id = {{own}} AND key = %(key)s),
        (SELECT SUM(cost_nanos) FROM {_SPEND} WHERE project_id = {{own}} AND month = %(month)s),
        (SELECT thresholds FROM {_CHOICE} WHERE project_id = {{own}}),
        EXISTS (SELECT 1 FROM {_ALERT} WHERE project_id = {{own}} AND month = %(month)s AND ended_at IS NULL)
    FROM {_PROJECT} p WHERE p.archived_at IS NULL AND p.id IN ({{projects}})"""


def standings(projects: Sequence[int], month: date) -> Iterator[Standing]:
    """Of the projects with these ids that are not in the archive; the month is the present one of all."""
    for first in range(0, len(projects), _AT_ONCE):
        rows = _rows(projects[first : first + _AT_ONCE], month)
        crossed = _crossed([pk for pk, *_, stands in rows if stands], month)
        for pk, limit, spent, thresholds, _ in rows:
            yield Standing(
                project_id=pk,
                month=month,
                limit_nanos=None if limit is None else money.nanos_from_dollars(Decimal(limit)),
                spent_nanos=int(spent or 0),
                thresholds=percents(thresholds or DEFAULT_THRESHOLDS),
                standing=frozenset(crossed.get(pk, ())),
            )


def _rows(projects: Sequence[int], month: date) -> list[tuple[Any, ...]]:
    told: dict[str, Any] = {"key": limits.KEY, "month": connection.ops.adapt_datefield_value(month)}
    ids = {f"project_{number}": pk for number, pk in enumerate(projects)}
    places = [f"%({name})s" for name in ids]
    # A single project is named in each part, so that no other machine is asked than its own.
    query = _QUERY.format(own=places[0] if len(places) == 1 else "p.id", projects=", ".join(places))
    with connection.cursor() as cursor:
        cursor.execute(query, told | ids)
        return list(cursor.fetchall())


def _crossed(projects: Sequence[int], month: date) -> dict[int, list[int]]:
    by_project: dict[int, list[int]] = {}
    if projects:
        alerts = BudgetAlert.objects.filter(project__in=projects, month=month, ended_at=None)
        for project, threshold in alerts.values_list("project", "threshold"):
            by_project.setdefault(project, []).append(threshold)
    return by_project
