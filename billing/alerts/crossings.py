"""Which thresholds of the present month are crossed: decided from the sums, whoever asks and however often.

A crossing is a row, written under the project's lock where the sums are read once more: any number
of writers who see the same threshold passed make one.
"""

import logging
from collections.abc import Collection, Iterable
from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from billing import clock, ledger, periods
from billing.alerts import outbox
from billing.alerts.thresholds import Standing, month_at, standing_of, standings
from billing.budgets import limits
from billing.models import BillingSetting
from billing.models.alerts import BudgetAlert
from products.models import Project

log = logging.getLogger(__name__)


def hear(*, project: Project, months: Collection[date] | None, **_: Any) -> None:
    """Listens to `billing.signals.budget_moved`. Only the present month alerts."""
    if months is None or clock.this_month(project) in months:
        evaluate(project)


def evaluate(project: Project) -> BudgetAlert | None:
    """Write down what was crossed and what is armed again; the alert that is to be told, if there is one."""
    standing = standing_of(project)
    if standing is None or not standing.moved:
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
    limited = BillingSetting.objects.filter(key=limits.KEY).values("project")
    projects = Project.objects.unarchived().filter(
        Q(pk__in=limited) | Q(pk__in=_all_standing().values("project"))
    )
    now = timezone.now()
    by_month: dict[date, list[int]] = {}
    for pk, zone in projects.order_by("pk").values_list("pk", "time_zone"):
        by_month.setdefault(month_at(zone, now), []).append(pk)
    found = [one for month, ids in by_month.items() for one in standings(ids, month)]
    return Project.objects.filter(pk__in=[one.project_id for one in found if one.moved])


def _all_standing() -> QuerySet[BudgetAlert]:
    """Those of past months stand for ever; no zone's present month is older than this."""
    oldest = periods.shift(periods.month_of(timezone.now().date()), -1)
    return BudgetAlert.objects.filter(ended_at=None, month__gte=oldest)
