"""Which thresholds projects have reached in the current month, and which alerts are active.

This runs after every batch of usage, so it is one statement written by hand: building it with the ORM took
longer than the database took to answer. A second query runs only for projects with active alerts.
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
class ThresholdStatus:
    """A project's spend in a month, against the thresholds of its limit."""

    project_id: int
    month: date
    limit_nanos: int | None
    spent_nanos: int
    thresholds: Collection[int]
    active: frozenset[int]
    """The thresholds with an active alert: crossed, and not ended since."""

    def is_reached(self, percent: int) -> bool:
        return self.limit_nanos is not None and self.spent_nanos * 100 >= self.limit_nanos * percent

    @property
    def crossed(self) -> list[int]:
        """The thresholds that are reached and have no active alert yet, ascending."""
        return sorted(one for one in self.thresholds if self.is_reached(one) and one not in self.active)

    @property
    def ended(self) -> list[int]:
        """The active thresholds that are no longer reached, even if they are no longer configured."""
        return [one for one in self.active if not self.is_reached(one)]

    @property
    def has_changed(self) -> bool:
        return bool(self.crossed or self.ended)

    @property
    def to_notify(self) -> int | None:
        """The threshold to send a message about: the highest crossed, unless a higher one is still active."""
        highest = max(self.crossed, default=0)
        return highest if highest > max(self.active.difference(self.ended), default=0) else None


def month_at(zone: str, now: datetime) -> date:
    return periods.month_of(periods.day_of(now, periods.zone(zone)))


def status_of(project: Project) -> ThresholdStatus | None:
    """None for an archived product."""
    return next(statuses([project.pk], clock.this_month(project)), None)


_BATCH = 500
_PROJECT, _SETTING, _SPEND, _ALERT_SETTINGS, _ALERT = (
    model._meta.db_table for model in (Project, BillingSetting, MonthlySpend, AlertSettings, BudgetAlert)
)
_QUERY = f"""
    SELECT p.id,
        (SELECT value FROM {_SETTING} WHERE project_id = {{project}} AND key = %(key)s),
        (SELECT SUM(cost_nanos) FROM {_SPEND} WHERE project_id = {{project}} AND month = %(month)s),
        (SELECT thresholds FROM {_ALERT_SETTINGS} WHERE project_id = {{project}}),
        EXISTS (
            SELECT 1 FROM {_ALERT} WHERE project_id = {{project}} AND month = %(month)s AND ended_at IS NULL
        )
    FROM {_PROJECT} p WHERE p.archived_at IS NULL AND p.id IN ({{projects}})"""


def statuses(projects: Sequence[int], month: date) -> Iterator[ThresholdStatus]:
    """Yield the status of each project by id, without archived ones. `month` is the current month of all."""
    for first in range(0, len(projects), _BATCH):
        rows = _rows(projects[first : first + _BATCH], month)
        active = _active([pk for pk, *_, has_active in rows if has_active], month)
        for pk, limit, spent, thresholds, _ in rows:
            yield ThresholdStatus(
                project_id=pk,
                month=month,
                limit_nanos=None if limit is None else money.nanos_from_dollars(Decimal(limit)),
                spent_nanos=int(spent or 0),
                thresholds=percents(thresholds or DEFAULT_THRESHOLDS),
                active=frozenset(active.get(pk, ())),
            )


def _rows(projects: Sequence[int], month: date) -> list[tuple[Any, ...]]:
    values: dict[str, Any] = {"key": limits.KEY, "month": connection.ops.adapt_datefield_value(month)}
    ids = {f"project_{number}": pk for number, pk in enumerate(projects)}
    placeholders = [f"%({name})s" for name in ids]
    # A single project is named in each part, so that only its own node of a cluster is asked.
    query = _QUERY.format(
        project=placeholders[0] if len(placeholders) == 1 else "p.id", projects=", ".join(placeholders)
    )
    with connection.cursor() as cursor:
        cursor.execute(query, values | ids)
        return list(cursor.fetchall())


def _active(projects: Sequence[int], month: date) -> dict[int, list[int]]:
    by_project: dict[int, list[int]] = {}
    if projects:
        alerts = BudgetAlert.objects.filter(project__in=projects, month=month, ended_at=None)
        for project, threshold in alerts.values_list("project", "threshold"):
            by_project.setdefault(project, []).append(threshold)
    return by_project
