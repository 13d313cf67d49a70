"""Recording which thresholds of the current month are crossed, decided from the sums in the rollups.

A crossing is a row, written under the project's lock after reading the sums again: any number of concurrent
writers that see the same threshold reached write one row.
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
from billing.alerts.thresholds import ThresholdStatus, month_at, status_of, statuses
from billing.budgets import limits
from billing.models import BillingSetting
from billing.models.alerts import BudgetAlert
from products.models import Project

log = logging.getLogger(__name__)


def on_budget_moved(*, project: Project, months: Collection[date] | None, **_: Any) -> None:
    """Receiver of `billing.signals.budget_moved`. Only the current month alerts."""
    if months is None or clock.this_month(project) in months:
        evaluate(project)


def evaluate(project: Project) -> BudgetAlert | None:
    """Record which thresholds were crossed and which alerts ended; return the alert to send, if any."""
    status = status_of(project)
    if status is None or not status.has_changed:
        return None
    with transaction.atomic():
        project = ledger.lock(project)
        status = status_of(project)
        return _record(project, status) if status else None


def evaluate_all() -> int:
    """Evaluate every product and return the number of alerts to send.

    This catches what was missed when a process died between commit and evaluation, and the start of a new
    month, whose first usage may have come before it began.
    """
    alerts = 0
    for project in _with_changes():
        try:
            alerts += evaluate(project) is not None
        except Exception:  # an error in one product must not stop the others
            log.exception("The budget of product %s could not be evaluated.", project.pk)
    return alerts


def _record(project: Project, status: ThresholdStatus) -> BudgetAlert | None:
    now = timezone.now()
    active = BudgetAlert.objects.filter(project=project, month=status.month, ended_at=None)
    active.filter(threshold__in=status.ended).update(ended_at=now)
    rows = {alert.threshold: alert for alert in _new_alerts(status, now)}
    BudgetAlert.objects.bulk_create(rows.values())
    if status.to_notify is None:
        return None
    outbox.queue(rows[status.to_notify])
    return rows[status.to_notify]


def _new_alerts(status: ThresholdStatus, now: datetime) -> Iterable[BudgetAlert]:
    before = BudgetAlert.objects.filter(project=status.project_id, month=status.month)
    counted = before.values_list("threshold").annotate(Max("crossing"))
    crossings = dict(counted.filter(threshold__in=status.crossed))
    for threshold in status.crossed:
        yield BudgetAlert(
            project_id=status.project_id,
            month=status.month,
            threshold=threshold,
            crossing=crossings.get(threshold, 0) + 1,
            crossed_at=now,
            spent_nanos=status.spent_nanos,
            limit_nanos=status.limit_nanos or 0,
            notified=threshold == status.to_notify,
        )


def _with_changes() -> Iterable[Project]:
    """The products for which something must be written, found by few queries however many products exist."""
    limited = BillingSetting.objects.filter(key=limits.KEY).values("project")
    projects = Project.objects.unarchived().filter(
        Q(pk__in=limited) | Q(pk__in=_active_alerts().values("project"))
    )
    now = timezone.now()
    by_month: dict[date, list[int]] = {}
    for pk, zone in projects.order_by("pk").values_list("pk", "time_zone"):
        by_month.setdefault(month_at(zone, now), []).append(pk)
    found = [status for month, ids in by_month.items() for status in statuses(ids, month)]
    return Project.objects.filter(pk__in=[status.project_id for status in found if status.has_changed])


def _active_alerts() -> QuerySet[BudgetAlert]:
    """Alerts of past months never end, so they are left out; no zone's current month is older than this."""
    oldest = periods.shift(periods.month_of(timezone.now().date()), -1)
    return BudgetAlert.objects.filter(ended_at=None, month__gte=oldest)
