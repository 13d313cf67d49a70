"""URLs of runs, whose ids can be any text, and the paging parameters of long lists."""

from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.urls import reverse

from aicost.formatting import text
from aicost.queries.runs import Cursor
from products.models import Project


def runs_url(project: Project) -> str:
    return reverse("runs", args=[project.pk])


def run_url(project: Project, run_id: str) -> str:
    return run_url_under(runs_url(project), run_id)


def run_url_under(runs: str, run_id: str) -> str:
    """The URL of a run's page, given the URL of the list of runs.

    Browsers and proxies resolve empty, `.` and `..` segments, even encoded ones. Ids with such a segment go
    into the query string.
    """
    if {"", ".", ".."}.isdisjoint(run_id.split("/")):
        return f"{runs}{quote(run_id, safe='')}/"
    return f"{runs}?{urlencode({'run': run_id})}"


NO_START = "none"
"""The value of `before` for a page that begins among the runs with an unknown start."""


def older_url(project: Project, cursor: Cursor | None) -> str:
    """The URL of the page of runs after the cursor. "" without a cursor."""
    if cursor is None:
        return ""
    at = cursor.started_at
    started = text.utc(at) if at else NO_START
    return f"{runs_url(project)}?{urlencode({'before': started, 'after': cursor.run_id})}"


def read_cursor(params: QueryDict) -> Cursor | None:
    """Where a page of runs begins. Raises `ValidationError` naming `before`."""
    before = params.get("before")
    if before is None:
        return None
    after = params.get("after", "").replace("\0", "")  # no id contains one, and PostgreSQL rejects it
    if before == NO_START:
        return Cursor(None, after)
    started = _instant(before)
    if started is None:
        raise ValidationError({"before": "must be an ISO 8601 time with an offset"})
    return Cursor(started, after)


def _instant(value: str) -> datetime | None:
    """In UTC. None if the value is not a time with an offset, or out of range in UTC."""
    try:
        time = datetime.fromisoformat(value)
        return time.astimezone(UTC) if time.tzinfo else None
    except (ValueError, OverflowError):
        return None


def page_from(value: str | None) -> int:
    """The page number, 1 by default. Raises `ValidationError` naming `page` if it is not a number from 1."""
    if value is None:
        return 1
    if not (value.isascii() and value.isdecimal() and not value.startswith("0") and len(value) <= 6):
        raise ValidationError({"page": "must be a number from 1"})
    return int(value)
