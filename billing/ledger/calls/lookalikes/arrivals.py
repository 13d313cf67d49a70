"""Which reports of a batch look like others, in it or in the ledger, and what has been decided of them."""

from collections.abc import Sequence

from billing.events.usage_event import UsageEvent
from billing.ledger.calls.groups import Calls, Group
from billing.ledger.calls.identity import WINDOW, Report
from billing.ledger.calls.lookalikes.likeness import TOLERANCE, Alike, Extent, extent_of, senders
from billing.ledger.calls.lookalikes.likeness import alike as pairs_of
from billing.models import CallReport, LookalikeDecision
from products.models import Project

_SAME = LookalikeDecision.Decision.SAME_CALL.value


def alike(project: Project, events: Sequence[UsageEvent]) -> list[Alike]:
    """Pairs of an event of a batch and another one, or a report in the ledger, that may be of one call."""
    new = {extent.event_id: extent for extent in map(extent_of, events) if extent}
    if not new:
        return []
    known = {extent.event_id: extent for extent in _near(project, list(new.values()))}
    return list(pairs_of({**new, **known}.values(), new.keys() - known.keys()))


def _near(project: Project, new: list[Extent]) -> list[Extent]:
    """The reports in the ledger with the same fingerprints that have a moment in common with the new ones."""
    if not project.has_call_ids:
        return []
    first = min(extent.started_at for extent in new) - TOLERANCE
    last = max(extent.ended_at for extent in new) + TOLERANCE
    rows = CallReport.objects.filter(
        project=project,
        fingerprint__among=sorted({extent.fingerprint for extent in new}),
        occurred_at__range=(first, last + WINDOW),
        started_at__lte=last,
    )
    names = {extent.sender for extent in new}
    if len(names) == 1:  # as in most requests; most calls that are near are its own
        rows = rows.exclude(sender=names.pop())
    columns = rows.values_list("event_id", "sender", "fingerprint", "started_at", "occurred_at")
    return [Extent._make(row) for row in columns]


def unite_or_note(project: Project, calls: Calls, found: list[Alike]) -> None:
    """Unite the pairs that were decided to be one call; note the others in `calls.alike`.

    Reports are paired with what is there when they come: the tightest pair first, each report at most once.
    What comes later can't be seen. If several calls with equal counts run at once and their reports arrive
    far apart, a report may be united with a neighbour's: the sums are the same, because the counts are, but
    the run and job may be the neighbour's; and the last to come may find none left, and is booked.
    """
    pairs = [pair for one in sorted(found) if (pair := _new_pair(calls, one))]
    if not pairs:
        return
    rows = LookalikeDecision.objects.filter(project=project, decision=_SAME)
    same = set(rows.values_list("sender_a", "sender_b"))
    for outer, inner in pairs:
        if senders(outer.sender, inner.sender) not in same:
            calls.alike.append((outer, inner))
        elif may_be_one(calls, outer, inner):
            calls.link(outer, inner)


def _new_pair(calls: Calls, pair: Alike) -> tuple[Report, Report] | None:
    """None if one of the two was rejected, or if both are known."""
    outer, inner = calls.reports.get(pair.outer), calls.reports.get(pair.inner)
    if not outer or not inner or (outer.pk and inner.pk):
        return None
    return outer, inner


def may_be_one(calls: Calls, a: Report, b: Report) -> bool:
    """Whether neither group has a report of the other's sender already: a sender reports a call once."""
    return not has_report_of(b.sender, calls.group_of(a)) and not has_report_of(a.sender, calls.group_of(b))


def has_report_of(sender: str, group: Group) -> bool:
    return any(report.sender == sender for report in group.reports)
