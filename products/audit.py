"""The audit log: who did what, when, and from which address. Entries are added and pruned, never changed."""

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

__all__ = ["Kind", "count", "from_address", "prune", "record"]

_client_address: ContextVar[str] = ContextVar("client_address", default="")


@contextmanager
def from_address(address: str) -> Iterator[None]:
    """Give every entry recorded inside the block this client address."""
    before = _client_address.set(address)
    try:
        yield
    finally:
        _client_address.reset(before)


def record(
    kind: Kind,
    *,
    by: Any,
    at: datetime | None = None,
    about: Any = None,
    project: Any = None,
    detail: str = "",
) -> None:
    """Add an entry: the user `by` (None if nobody was signed in) did this to the user `about` or `project`.

    `detail` must not contain secrets. Call this in the transaction of the act, so that neither is
    committed without the other.
    """
    _entry(kind, by, at or timezone.now(), about, project, detail).save()


@transaction.atomic
def count(
    kind: Kind, *, by: Any, counter: str, about: Any = None, project: Any = None, detail: str = ""
) -> None:
    """Like `record`, for acts that anyone can repeat without limit.

    Acts of the same kind and `counter` within an hour share one entry, whose `times` goes up.
    """
    now = timezone.now()
    once = f"{kind.value}:{counter}:{now:%Y-%m-%dT%H}"
    if not _increment(once, now):
        first = _entry(kind, by, now, about, project, detail)
        first.once, first.times = once, 0
        AuditEntry.objects.bulk_create([first], ignore_conflicts=True)
        _increment(once, now)


def _increment(once: str, now: datetime) -> int:
    return AuditEntry._base_manager.filter(once=once).update(times=F("times") + 1, last_at=now)


def _entry(kind: Kind, by: Any, at: datetime, about: Any, project: Any, detail: str) -> AuditEntry:
    return AuditEntry(
        at=at,
        kind=kind,
        who_id=by and by.pk,
        who_name=by.get_username() if by else "",
        about_id=about and about.pk,
        project_id=project and project.pk,
        address=_client_address.get(),
        detail=printable(detail, DETAIL_LENGTH),
    )


def prune(before: datetime, batch: int = 5_000) -> int:
    """Delete entries older than `before`, in short transactions. Returns how many."""
    old = AuditEntry._base_manager.filter(at__lt=before).order_by("at")
    deleted = 0
    while keys := list(old.values_list("pk", flat=True)[:batch]):
        deleted += AuditEntry._base_manager.filter(pk__in=keys).delete()[0]
    return deleted
