"""The audit log: who did what, when, from where. Entries are added and, once old, dropped; never changed."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from products.models.audit import DETAIL_LENGTH, AuditEntry, Kind
from products.printable import printable

__all__ = ["Kind", "coming_from", "note", "prune", "tally"]

_origin: ContextVar[str] = ContextVar("origin", default="")


@contextmanager
def coming_from(address: str) -> Iterator[None]:
    """What is noted meanwhile came from there: the acts themselves need not know of requests."""
    before = _origin.set(address)
    try:
        yield
    finally:
        _origin.reset(before)


def note(kind: Kind, *, by: Any, at: datetime | None = None, **told: Any) -> None:
    """Write down that `by` (None: nobody who had signed in) did it; told are `about`, `project`, `detail`.

    No secret may be among the details. In a transaction the entry stands or falls with the act.
    """
    _entry(kind, by, at or timezone.now(), **told).save()


@transaction.atomic
def tally(kind: Kind, *, by: Any, whose: str, **told: Any) -> None:
    """As `note`, for what somebody may do without end: one entry an hour for each `whose`, which counts."""
    now = timezone.now()
    once = f"{kind.value}:{whose}:{now:%Y-%m-%dT%H}"
    if not _count(once, now):
        first = _entry(kind, by, now, **told)
        first.once, first.times = once, 0
        AuditEntry.objects.bulk_create([first], ignore_conflicts=True)
        _count(once, now)


def _count(once: str, now: datetime) -> int:
    return AuditEntry._base_manager.filter(once=once).update(times=F("times") + 1, last_at=now)


def _entry(
    kind: Kind, by: Any, at: datetime, *, about: Any = None, project: Any = None, detail: str = ""
) -> AuditEntry:
    return AuditEntry(
        at=at,
        kind=kind,
        who_id=by and by.pk,
        who_name=by.get_username() if by else "",
        about_id=about and about.pk,
        project_id=project and project.pk,
        address=_origin.get(),
        detail=printable(detail, DETAIL_LENGTH),
    )


def prune(before: datetime, batch: int = 5_000) -> int:
    """Drop what is older, in short transactions; how many that were."""
    old = AuditEntry._base_manager.filter(at__lt=before).order_by("at")
    dropped = 0
    while keys := list(old.values_list("pk", flat=True)[:batch]):
        dropped += AuditEntry._base_manager.filter(pk__in=keys).delete()[0]
    return dropped
