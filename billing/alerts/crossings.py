"""Which thresholds of the present month are crossed: decided from the sums, whoever asks and however often.

A crossing is a row, written under the project's lock where the sums are read once more: any number
of writers who see the same threshold passed make one.
"""

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from billing import budgets, ledger, money, periods
from billing.alerts import outbox
from billing.alerts.models import DEFAULT_THRESHOLDS, AlertSettings, BudgetAlert, percents
from billing.models import BillingSetting, MonthlySpend
from products.models import Project

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Standing:
    """A project's present month against its limit, and which of its thresholds stand as crossed."""

    project_id: int
    month: date
    limit_nanos: int | None
    spent_nanos: int
    thresholds: Collection[int]
    standing: frozenset[int]

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
    def told(self) -> int | None:
        """The one to tell of: the highest crossed, unless a higher one stands and was told already."""
        highest = max(self.crossed, default=0)
        return highest if highest > max(self.standing.difference(self.ended), default=0) else None


def present_month(project: Project) -> date:
    return _month(project.time_zone, timezone.now())


def hear(*, project: Project, months: Collection[date] | None, **_: Any) -> None:
    """Listens to `billing.signals.budget_moved`. Only the present month alerts."""
    if months is None or present_month(project) in months:
        evaluate(project)


def evaluate(project: Project) -> BudgetAlert | None:
    """Write down what was crossed and what is armed again; the alert that is to be told, if there is one."""
    standing = standing_of(project)
    if standing is None or not (standing.crossed or standing.ended):
        return None
    with transaction.atomic():
        project = ledger.lock(project)
        standing = standing_of(project)
        return _settle(project, standing) if standing else None


def evaluate_all() -> int:
    """What was missed where a process died between its commit and its evaluation; how many are told.

    It also greets a new month, whose first usage may have come before it began.
    """
    told = 0
    for project in _in_motion():
        try:
            told += evaluate(project) is not None
        except Exception:  # one product's trouble is not the others'
            log.exception("The budget of product %s could not be evaluated.", project.pk)
    return told


def standing_of(project: Project) -> Standing | None:
    """None for a product in the archive."""
    return next(iter(_standings(Project.objects.filter(pk=project.pk), present_month(project))), None)


def _settle(project: Project, found: Standing) -> BudgetAlert | None:
    now = timezone.now()
    standing = BudgetAlert.objects.filter(project=project, month=found.month, ended_at=None)
    standing.filter(threshold__in=found.ended).update(ended_at=now)
    rows = {alert.threshold: alert for alert in _new_alerts(found, now)}
    BudgetAlert.objects.bulk_create(rows.values())
    if found.told is None:
        return None
    outbox.queue(rows[found.told])
    return rows[found.told]


def _new_alerts(found: Standing, now: datetime) -> Iterable[BudgetAlert]:
    before = BudgetAlert.objects.filter(project=found.project_id, month=found.month)
    counted = before.values_list("threshold").annotate(Max("crossing"))
    crossings = dict(counted.filter(threshold__in=found.crossed))
    for threshold in found.crossed:
        yield BudgetAlert(
            project_id=found.project_id,
            month=found.month,
            threshold=threshold,
            crossing=crossings.get(threshold, 0) + 1,
            crossed_at=now,
            spent_nanos=found.spent_nanos,
            limit_nanos=found.limit_nanos or 0,
            told=threshold == found.told,
        )


def _in_motion() -> Iterable[Project]:
    """The products in which something has to be written, by few queries for however many there are."""
    limited = BillingSetting.objects.filter(key=budgets.KEY).values("project")
    projects = Project.objects.live().filter(Q(pk__in=limited) | Q(pk__in=_all_standing().values("project")))
    now = timezone.now()
    zones: dict[date, list[str]] = {}
    for name in projects.order_by().values_list("time_zone", flat=True).distinct():
        zones.setdefault(_month(name, now), []).append(name)
    moved = [
        found.project_id
        for month, names in zones.items()
        for found in _standings(projects.filter(time_zone__in=names), month)
        if found.crossed or found.ended
    ]
    return Project.objects.filter(pk__in=moved)


def _all_standing() -> QuerySet[BudgetAlert]:
    """Those of past months stand for ever; of these the few last days suffice for every zone."""
    oldest = periods.shift(periods.month_of(timezone.now().date()), -1)
    return BudgetAlert.objects.filter(ended_at=None, month__gte=oldest)


def _month(zone: str, now: datetime) -> date:
    return periods.month_of(periods.day_of(now, periods.zone(zone)))


def _standings(projects: QuerySet[Project], month: date) -> list[Standing]:
    """In one query, and a second where thresholds stand as crossed."""
    mine = {"project": OuterRef("pk")}
    limit = BillingSetting.objects.filter(**mine, key=budgets.KEY).values("value")
    spend = MonthlySpend.objects.filter(**mine, month=month).order_by().values("project")
    thresholds = AlertSettings.objects.filter(**mine).values("thresholds")
    crossed = BudgetAlert.objects.filter(**mine, month=month, ended_at=None)
    rows = (
        projects.filter(archived_at=None)
        .annotate(
            limit=Subquery(limit),
            spent=Coalesce(Subquery(spend.annotate(sum=Sum("cost_nanos")).values("sum")), 0),
            thresholds=Subquery(thresholds),
            stands=Exists(crossed),
        )
        .order_by("pk")
        .values_list("pk", "limit", "spent", "thresholds", "stands")
    )
    found = list(rows)
    standing = _standing([pk for pk, *_, stands in found if stands], month)
    return [
        Standing(
            project_id=pk,
            month=month,
            limit_nanos=None if limit is None else money.nanos_from_dollars(Decimal(limit)),
            spent_nanos=int(spent),
            thresholds=percents(thresholds or DEFAULT_THRESHOLDS),
            standing=frozenset(standing.get(pk, ())),
        )
        for pk, limit, spent, thresholds, _ in found
    ]


def _standing(projects: list[int], month: date) -> dict[int, list[int]]:
    by_project: dict[int, list[int]] = {}
    if projects:
        alerts = BudgetAlert.objects.filter(project__in=projects, month=month, ended_at=None)
        for project, threshold in alerts.values_list("project", "threshold"):
            by_project.setdefault(project, []).append(threshold)
    return by_project
