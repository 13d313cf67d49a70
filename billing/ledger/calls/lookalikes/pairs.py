"""The pairs of reports that may be of one call, as the database remembers them."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from billing import periods
from billing.db import bulk
from billing.ledger.calls.groups import Calls
from billing.ledger.calls.identity import Report
from billing.ledger.calls.lookalikes.arrivals import has_report_of, may_be_one
from billing.ledger.calls.lookalikes.likeness import Extent, margin, senders
from billing.models import Lookalike
from products.models import Project

_COLUMNS = ("project_id", "outer", "inner", "sender_a", "sender_b", "margin", "day", "nanos")
_CHUNK = 100


def update(project: Project, calls: Calls, zone: ZoneInfo) -> None:
    """Remember the pairs of a batch, and forget those that its reports have settled.

    Groups only grow, so that the pairs that remain are a function of the set of reports.
    """
    if project.has_lookalikes:
        _forget(project, calls)
    rows = [
        (project.pk, *_row(outer, inner, zone))
        for outer, inner in calls.alike
        if may_be_one(calls, outer, inner)
    ]
    bulk.insert(Lookalike, _COLUMNS, rows)
    if rows and not project.has_lookalikes:
        Project.objects.filter(pk=project.pk).update(has_lookalikes=True)


def _row(outer: Report, inner: Report, zone: ZoneInfo) -> tuple[object, ...]:
    cheaper = min(inner, outer, key=lambda report: report.nanos)
    day = periods.day_of(cheaper.occurred_at, zone)
    names = senders(outer.sender, inner.sender)
    return outer.event_id, inner.event_id, *names, margin(_extent(outer), _extent(inner)), day, cheaper.nanos


def _extent(report: Report) -> Extent:
    start = report.started_at or report.occurred_at
    return Extent(report.event_id, report.sender, report.fingerprint, start, report.occurred_at)


def _forget(project: Project, calls: Calls) -> None:
    """Delete pairs with a report that is linked with one of the other's sender by now."""
    united = {
        report.event_id: (report, group)
        for group in calls.touched()
        if len(group.reports) > 1
        for report in group.reports
        if report.fingerprint
    }
    settled = [
        key
        for key, end, names in _pairs_with(project, list(united))
        if has_report_of(_other(names, united[end][0].sender), united[end][1])
    ]
    for start in range(0, len(settled), _CHUNK):
        Lookalike.objects.filter(pk__in=settled[start : start + _CHUNK]).delete()


def _pairs_with(project: Project, event_ids: list[str]) -> Iterator[tuple[object, str, tuple[str, str]]]:
    """Each pair with one of these reports: its key, the report's event id, and both senders."""
    if not event_ids:
        return
    of_project = Lookalike.objects.filter(project=project)
    for end in ("outer", "inner"):
        rows = of_project.filter(**{f"{end}__among": event_ids})
        for key, event_id, *names in rows.values_list("pk", end, "sender_a", "sender_b"):
            yield key, event_id, (names[0], names[1])


def _other(names: tuple[str, str], sender: str) -> str:
    return names[1] if sender == names[0] else names[0]
