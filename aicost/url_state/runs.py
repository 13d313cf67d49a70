"""Addresses of what has an awkward name: runs, whose ids are whatever was told. And pages of long lists."""

from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.urls import reverse

from aicost.formatting import text as formats
from aicost.queries.runs import Cursor
from products.models import Project


def runs_url(project: Project) -> str:
    return reverse("runs", args=[project.pk])


def run_url(project: Project, run_id: str) -> str:
    return run_below(runs_url(project), run_id)


def run_below(runs: str, run_id: str) -> str:
    """A run's page, where that of all runs is known. Browsers and proxies resolve empty, `.` and `..`
    segments, encoded or not, so ids with one go into the query."""
    if {"", ".", ".."}.isdisjoint(run_id.split("/")):
        return f"{runs}{quote(run_id, safe='')}/"
    return f"{runs}?{urlencode({'run': run_id})}"


NO_START = "none"
"""Instead of a time: amid the runs of which no start is known."""


def older_url(project: Project, cursor: Cursor | None) -> str:
    """The page of runs after the cursor; "" where there is none."""
    if cursor is None:
        return ""
    at = cursor.started_at
    started = formats.utc(at) if at else NO_START
    return f"{runs_url(project)}?{urlencode({'before': started, 'after': cursor.run_id})}"


def read_cursor(params: QueryDict) -> Cursor | None:
    """Where a page of runs begins. Raises `ValidationError` naming `before`."""
    before = params.get("before")
    if before is None:
        return None
    after = params.get("after", "").replace("\0", "")  # no id holds one, and PostgreSQL takes none
    if before == NO_START:
        return Cursor(None, after)
    started = _instant(before)
    if started is None:
        raise ValidationError({"before": "must be an ISO 8601 time with an offset"})
    return Cursor(started, after)


def _instant(text: str) -> datetime | None:
    """In UTC; None for what is no instant there, such as the first hours of the year 1 further east."""
    try:
        told = datetime.fromisoformat(text)
        return told.astimezone(UTC) if told.tzinfo else None
    except (ValueError, OverflowError):
        return None


def page_from(text: str | None) -> int:
    """Raises `ValidationError` naming `page` for anything but a plain number from 1."""
    if text is None:
        return 1
    if not (text.isascii() and text.isdecimal() and not text.startswith("0") and len(text) <= 6):
        raise ValidationError({"page": "must be a number from 1"})
    return int(text)
