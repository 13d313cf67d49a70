"""The model calls that a batch of events names, together with what the ledger holds of them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from billing.events.cost import Cost
from billing.events.usage_event import UsageEvent
from billing.ledger.calls import store
from billing.ledger.calls.groups import Calls
from billing.ledger.calls.identity import Report, note_origin, report_of
from billing.ledger.calls.lookalikes import arrivals, likeness
from billing.ledger.unit_of_work import Jobs, Runs
from products.models import Project


class Named(NamedTuple):
    """A deduction that names its call, and what it costs."""

    event: UsageEvent
    cost: Cost


class Nested(NamedTuple):
    """The event ids of two deductions that report one call: the span of one encloses the other's."""

    outer: str
    inner: str
    is_copy: bool = False
    """Whether the inner one is a copy of the outer one, in another log of the same sender."""


class Found(NamedTuple):
    """What has been found out of deductions, in the batch or in the ledger."""

    nested: Collection[Nested]
    repriced: Mapping[str, Cost]
    """New costs, by event id."""


def _add(calls: Calls, report: Report, event: UsageEvent, earlier: list[Report]) -> bool:
    """Add a report and unite it with its earlier forms; return whether another booking results."""
    for form in earlier:
        calls.add(form, ())
    before = sorted({booking for form in earlier for booking in calls.group_of(form).bookings})
    has_changed = calls.add(report, event.call_ids)
    for form in earlier:
        calls.unite(form, report)
    return before != calls.group_of(report).bookings if earlier else has_changed


def _earlier_forms(event: UsageEvent, calls: Calls, lines: dict[str, Report]) -> Iterator[Report]:
    """The same deduction as an earlier version of this product has recorded it, under another id."""
    for event_id in event.earlier_ids:
        report = calls.reports.get(event_id) or lines.get(event_id)
        if report and (report.occurred_at, report.place.job_id) == (event.occurred_at, event.job_id):
            yield report


def collect(
    project: Project, named: Sequence[Named], found: Found, runs: Runs, jobs: Jobs
) -> tuple[Calls, list[bool]]:
    """The calls, and for each named deduction whether it changes what the ledger books.

    `runs` and `jobs` have applied the events; they get those of all reports.
    """
    events = [one.event for one in named]
    event_ids = {event_id for event in events for event_id in (event.event_id, *event.earlier_ids)}
    event_ids |= {event_id for pair in found.nested for event_id in pair[:2]}
    event_ids |= found.repriced.keys()
    alike = arrivals.alike(project, events)
    event_ids |= {event_id for pair in alike for event_id in (pair.outer, pair.inner)}
    calls = store.load(project, events, event_ids, [job.pk for job in jobs.newly_named() if job.pk])
    lines = store.of_lines(project, event_ids - calls.reports.keys())
    reports = [*calls.reports.values(), *lines.values()]
    places = [report.place for report in reports]
    booked = [report.booked_at for report in reports if report.booked_at]
    runs.load([*places, *booked])
    jobs.load([*places, *booked])
    for report in reports:
        report.names_agent = bool(jobs.at(report.place).agent_type)
    changed = []
    for event, cost in named:
        line = lines.get(event.event_id)
        if line:
            note_origin(line, event)
        report = line or report_of(event, cost)
        report.names_agent = bool(jobs.at(report.place).agent_type)
        report.fingerprint = likeness.fingerprint(event)
        report.started_at = event.call_started_at if report.fingerprint else None
        changed.append(_add(calls, report, event, list(_earlier_forms(event, calls, lines))))
    for event_id, cost in found.repriced.items():
        _reprice(calls, calls.reports.get(event_id) or lines[event_id], cost)
    for outer, inner, is_copy in found.nested:
        ends = [calls.reports.get(end) or lines.get(end) for end in (outer, inner)]
        if ends[0] and ends[1]:  # one may have been rejected
            for end in filter(None, ends):
                calls.add(end, ())
            calls.link(ends[0], ends[1], is_copy=is_copy)
    arrivals.unite_or_note(project, calls, alike)
    return calls, changed


def _reprice(calls: Calls, report: Report, cost: Cost) -> None:
    report.nanos, report.cost_source, report.basis = cost
    report.is_repriced = True
    calls.add(report, ())
    calls.touch([report])
