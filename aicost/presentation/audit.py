"""The audit log of a product, and a person's own sign-ins, newest first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.urls import reverse
from django.utils.safestring import SafeString

from aicost.exports.tabular import Cell, instant
from aicost.formatting import html
from aicost.formatting import text as formats
from aicost.presentation.tokens import ZONE
from aicost.queries import audit as audit_queries
from billing import periods
from products.models import Project
from products.models.audit import SIGN_INS, AuditEntry, Kind

ALARMING = {Kind.SIGN_IN_FAILED, Kind.LOCKED_OUT, Kind.DENIED}


@dataclass(frozen=True)
class EntryRow:
    when: SafeString | str
    what: str
    alarming: bool
    who: str
    address: str
    detail: str
    times: str


def page(project: Project, kind: str, number: int) -> dict[str, Any]:
    found, more = audit_queries.page(audit_queries.of_product(project, kind), number)
    zone = periods.zone(project.time_zone)
    return {
        "entries": [_row(entry, zone) for entry in found],
        "kind": kind,
        "kinds": Kind.choices,
        "csv": _address("export-audit", project, kind=kind),
        "newer": _address("audit", project, kind=kind, page=number - 1) if number > 1 else "",
        "older": _address("audit", project, kind=kind, page=number + 1) if more else "",
    }


COLUMNS = ("at", "kind", "who", "about", "address", "detail", "times", "lastAt")


def rows(project: Project, kind: str) -> Iterator[Sequence[Cell]]:
    """All of it, for a file."""
    for entry in audit_queries.of_product(project, kind).iterator(chunk_size=2_000):
        told = (entry.who_name, str(entry.about or ""), entry.address, entry.detail)
        yield (instant(entry.at), entry.kind, *told, entry.times, instant(entry.last_at))


def own_sign_ins(user: Any, number: int) -> dict[str, Any]:
    found, more = audit_queries.page(audit_queries.sign_ins_of(user), number)
    return {
        "entries": [_row(entry, ZONE) for entry in found],
        "newer": f"?page={number - 1}" if number > 1 else "",
        "older": f"?page={number + 1}" if more else "",
    }


def _row(entry: AuditEntry, zone: ZoneInfo) -> EntryRow:
    return EntryRow(
        when=html.moment(entry.at, zone),
        what=Kind(entry.kind).label,
        alarming=entry.kind in ALARMING,
        who=_who(entry),
        address=entry.address or formats.NONE,
        detail=entry.detail,
        times=_times(entry, zone),
    )


def _who(entry: AuditEntry) -> str:
    """An act has an author; a failed sign-in only an account that somebody tried."""
    if entry.who_name:
        return entry.who_name
    if entry.kind in SIGN_INS:
        return str(entry.about or formats.NONE)
    return "on the server"


def _times(entry: AuditEntry, zone: ZoneInfo) -> str:
    if entry.times < 2 or entry.last_at is None:
        return ""
    return f"{formats.count(entry.times)} times, last {formats.instant(entry.last_at, zone)}"


def _address(name: str, project: Project, **told: Any) -> str:
    query = urlencode({key: value for key, value in told.items() if value})
    return reverse(name, args=[project.pk]) + (query and f"?{query}")
