"""Budget reservations: estimates held until usage with their id arrives or they expire."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Q, QuerySet, Sum
from django.utils import timezone

from billing.events.usage_event import DEDUCTION, UsageEvent
from billing.models import BudgetReservation
from products.models import Project
from products.statuses import RUNNING

LIFETIME = timedelta(minutes=15)


@dataclass(frozen=True)
class Held:
    """The sum of a project's active reservations."""

    nanos: int
    count: int
    last_ends_at: datetime | None


def active() -> QuerySet[BudgetReservation]:
    """Reservations that have not expired. Expired ones stay in the table until the next write."""
    return BudgetReservation.objects.filter(expires_at__gt=timezone.now())


def held(project: Project) -> Held:
    found = active().filter(project=project)
    sums = found.aggregate(nanos=Sum("estimate_nanos"), count=Count("pk"), last=Max("expires_at"))
    return Held(sums["nanos"] or 0, sums["count"], sums["last"])


def hold(project: Project, reservation_id: str, nanos: int, *, by: Any) -> BudgetReservation:
    """Reserve an estimate, replacing an earlier reservation with the same id.

    The caller holds the project's lock and has checked, under it, that the budget allows the estimate.
    """
    now = timezone.now()
    _remove(project, Q(expires_at__lte=now))
    reservation = BudgetReservation(
        project=project,
        reservation_id=reservation_id,
        estimate_nanos=nanos,
        made_at=now,
        expires_at=now + LIFETIME,
        made_by=by,
    )
    BudgetReservation.objects.bulk_create(
        [reservation],
        update_conflicts=True,
        unique_fields=["project", "reservation_id"],
        update_fields=["estimate_nanos", "made_at", "expires_at", "made_by"],
    )
    return reservation


def end(project: Project, events: Iterable[UsageEvent]) -> bool:
    """End the reservations whose usage is in `events`; return whether there were any.

    Called by the ledger writer alone, in the transaction that records the usage.
    """
    ids = {event.reservation_id for event in events if event.reservation_id and _is_usage(event)}
    if not ids:
        return False
    arrived = Q(reservation_id__among=sorted(ids))
    return _remove(project, arrived | Q(expires_at__lte=timezone.now())) > 0


def _is_usage(event: UsageEvent) -> bool:
    """A job that is only reported as running has yet to spend; a finished one may have cost nothing."""
    return event.kind == DEDUCTION or event.job_status not in ("", RUNNING)


def _remove(project: Project, which: Q) -> int:
    return BudgetReservation.objects.filter(which, project=project).delete()[0]
