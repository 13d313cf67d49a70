"""The audit log of a product, and a person's own sign-ins, newest first."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.urls import reverse
from django.utils.safestring import SafeString

from aicost.formatting import html, text
from aicost.presentation.tokens import ZONE
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


def page(project: Project, kind: str, number: int, entries: list[AuditEntry], more: bool) -> dict[str, Any]:
    """Page `number` of the entries of a kind, "" for all kinds. `more`: there are older entries."""
    zone = periods.zone(project.time_zone)
    return {
        "entries": [_row(entry, zone) for entry in entries],
        "kind": kind,
        "kinds": Kind.choices,
        "csv": _url("export-audit", project, kind=kind),
        "newer": _url("audit", project, kind=kind, page=number - 1) if number > 1 else "",
        "older": _url("audit", project, kind=kind, page=number + 1) if more else "",
    }


def own_sign_ins(number: int, entries: list[AuditEntry], more: bool) -> dict[str, Any]:
    return {
        "entries": [_row(entry, ZONE) for entry in entries],
        "newer": f"?page={number - 1}" if number > 1 else "",
        "older": f"?page={number + 1}" if more else "",
    }


def _row(entry: AuditEntry, zone: ZoneInfo) -> EntryRow:
    return EntryRow(
        when=html.moment(entry.at, zone),
        what=Kind(entry.kind).label,
        alarming=entry.kind in ALARMING,
        who=_who(entry),
        address=entry.address or text.NONE,
        detail=entry.detail,
        times=_times(entry, zone),
    )


def _who(entry: AuditEntry) -> str:
    """The person who acted; for a failed sign-in, the account that was tried."""
    if entry.who_name:
        return entry.who_name
    if entry.kind in SIGN_INS:
        return str(entry.about or text.NONE)
    return "on the server"


def _times(entry: AuditEntry, zone: ZoneInfo) -> str:
    if entry.times < 2 or entry.last_at is None:
        return ""
    return f"{text.count(entry.times)} times, last {text.instant(entry.last_at, zone)}"


def _url(name: str, project: Project, **params: Any) -> str:
    query = urlencode({key: value for key, value in params.items() if value})
    return reverse(name, args=[project.pk]) + (query and f"?{query}")
