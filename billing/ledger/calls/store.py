"""Read and write the reports of model calls that the ledger has by the calls' ids."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from django.db.models import BooleanField, ExpressionWrapper, Q

from billing.db import bulk
from billing.events.cost import PriceBasis
from billing.events.usage_event import DEDUCTION, Tokens, UsageEvent, combine
from billing.ledger import lookup
from billing.ledger.calls.adjustments import sent_id
from billing.ledger.calls.families import known_family
from billing.ledger.calls.groups import MOST_SHARING, Calls
from billing.ledger.calls.identity import WINDOW, Place, Report
from billing.ledger.lookup import Line
from billing.ledger.unit_of_work import Jobs
from billing.models import BASIS_COLUMNS, CallId, CallReport, CostSource, CreditTransaction
from products.agent_types import OTHER
from products.models import Project

_COLUMNS = (
    *("id", "event_id", "call_pk", "group_pk", "job_id"),
    *("line", "booked_on_id", "booked_nanos", "times_booked"),
    *("occurred_at", "model", "family"),
    *("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens"),
    *("amount_nanos", "cost_source", *BASIS_COLUMNS),
    *("run_is_trace", "sender", "gateway_id", "part", "covers_parts"),
    *("started_at", "fingerprint", "copy_of", "is_nested"),
)
_PRICED = ("amount_nanos", "cost_source", "priced_without", "price_source")
_CHANGING = (
    *("call_pk", "group_pk", "line", "booked_on_id", "booked_nanos", "times_booked", "copy_of", "is_nested"),
    *_PRICED,
)
_JOB, _BOOKED_ON = _COLUMNS.index("job_id"), _COLUMNS.index("booked_on_id")
_REPORTED = CostSource.REPORTED.value


def as_lines(project: Project, event_ids: Iterable[str]) -> list[Line]:
    """What the reports under these event ids say, as if they were transactions."""
    wanted = [(event_id,) for event_id in event_ids]
    reports = _reports(project, bulk.find(CallReport, project.pk, ("event_id",), wanted, _COLUMNS))
    return [
        Line(
            *(report.event_id, DEDUCTION, report.occurred_at, *report.place, report.model, report.tokens),
            report.nanos if report.cost_source == _REPORTED else None,
        )
        for report in reports
    ]


def load(
    project: Project, events: Sequence[UsageEvent], event_ids: set[str], newly_named: Sequence[int]
) -> Calls:
    """The calls that the events may report: by their call ids, or by reports under these event ids.

    Also those that have a report on the jobs of `newly_named`, whose agent has just become known.
    """
    calls = Calls()
    if not project.has_call_ids:
        return calls
    calls.shared_by_too_many, ids = _ids(project, events)
    wanted = [(event_id,) for event_id in sorted(event_ids)]
    known = bulk.find(CallReport, project.pk, ("event_id",), wanted, ("group_pk",))
    pks = [(pk,) for pk in sorted({pk for _, pk in ids})]
    sharing = bulk.find(CallReport, project.pk, ("id",), pks, ("group_pk",))
    of_jobs = CallReport.objects.filter(project=project, job__in=newly_named) if newly_named else None
    named = set(of_jobs.values_list("group_pk", flat=True)) if of_jobs else set()
    reports = _of_groups(project, {group for (group,) in [*known, *sharing]} | named)
    event_id_of = {report.pk: report.event_id for report in reports}
    calls.restore(reports, [(call_id, event_id_of[pk]) for call_id, pk in ids])
    calls.touch(report for report in reports if report.group_pk in named)
    return calls


def _of_groups(project: Project, group_pks: set[int]) -> list[Report]:
    if not group_pks:
        return []
    rows = CallReport.objects.filter(project=project, group_pk__in=group_pks).order_by("pk")
    return _reports(project, list(rows.values_list(*_COLUMNS)))


def by_pk(project: Project, pks: Iterable[int]) -> list[Report]:
    return _reports(
        project, bulk.find(CallReport, project.pk, ("id",), [(pk,) for pk in sorted(pks)], _COLUMNS)
    )


class Booked(NamedTuple):
    """The report that a transaction books."""

    event_id: str
    part: str


def booked_by(project: Project, lines: Iterable[str]) -> dict[str, Booked]:
    """The reports that these transactions book, by the transaction's event id, as far as they book one."""
    if not project.has_call_ids:
        return {}
    event_ids = {event_id for line in lines for event_id in (line, sent_id(line))}
    wanted = [(event_id,) for event_id in sorted(event_ids)]
    rows = bulk.find(CallReport, project.pk, ("event_id",), wanted, ("line", "event_id", "part"))
    return {line: Booked(event_id, part) for line, event_id, part in rows if line}


def stream(project: Project, chunk_size: int) -> Iterator[Report]:
    """All reports, linked ones together, with what is known of their jobs' agents."""
    rows = CallReport.objects.filter(project=project).order_by("group_pk", "pk")
    named = ~Q(job__agent_type__slug=OTHER)
    found = rows.annotate(named=ExpressionWrapper(named, BooleanField())).values_list(*_COLUMNS, "named")
    iterator = found.iterator(chunk_size=chunk_size)
    while chunk := list(islice(iterator, chunk_size)):
        for report, row in zip(_reports(project, [row[:-1] for row in chunk]), chunk, strict=True):
            report.names_agent = row[-1]
            yield report


_LINE_COLUMNS = (
    *("event_id", "job_id", "occurred_at", "model"),
    *("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens"),
    *("amount_nanos", "cost_source", *BASIS_COLUMNS),
)


def of_lines(project: Project, event_ids: Iterable[str]) -> dict[str, Report]:
    """Reports, by event id, for deductions that were recorded when nobody named their calls."""
    wanted = [(event_id,) for event_id in sorted(event_ids)]
    rows = bulk.find(CreditTransaction, project.pk, ("event_id",), wanted, ("kind", *_LINE_COLUMNS))
    deductions = [row[1:] for row in rows if row[0] == DEDUCTION]
    places = lookup.places(project, {row[1] for row in deductions})
    reports: dict[str, Report] = {}
    for event_id, job, at, model, *counts, nanos, source, factors, without, price_source in deductions:
        place = Place(*places[job])
        reports[event_id] = Report(
            event_id=event_id,
            place=place,
            occurred_at=at,
            model=model,
            family=known_family(model),
            tokens=Tokens(*counts),
            nanos=nanos,
            cost_source=source,
            basis=PriceBasis(factors, without, price_source),
            line=event_id,
            booked_at=place,
            booked_nanos=nanos,
            times_booked=1,
        )
    for growth in lookup.growth_of(project, sorted(reports)):
        if not growth.is_report:
            report = reports[growth.of]
            report.tokens = combine(report.tokens, growth.tokens, 1)
            report.nanos += growth.nanos
            report.growth = (*report.growth, growth.event_id)
    return reports


def _ids(project: Project, events: Sequence[UsageEvent]) -> tuple[set[str], list[tuple[str, int]]]:
    """(call id, report) of the reports that have an id of the events and are near them in time.

    First come the ids that too many of these reports have; their pairs are left out.
    """
    call_ids = {call_id for event in events for call_id in event.call_ids}
    if not call_ids:
        return set(), []
    instants = [event.occurred_at for event in events]
    near = (min(instants) - WINDOW, max(instants) + WINDOW)
    rows = CallId.objects.filter(project=project, call_id__among=sorted(call_ids), occurred_at__range=near)
    pairs = list(rows.order_by("report_id").values_list("call_id", "report_id"))
    number = Counter(call_id for call_id, _ in pairs)
    too_many = {call_id for call_id, count in number.items() if count > MOST_SHARING}
    return too_many, [pair for pair in pairs if pair[0] not in too_many]


def _reports(project: Project, rows: Sequence[Sequence[Any]]) -> list[Report]:
    jobs = [row[column] for row in rows for column in (_JOB, _BOOKED_ON)]
    places = lookup.places(project, set(jobs))
    return [_report(row, places) for row in rows]


def _report(row: Sequence[Any], places: dict[int | None, tuple[str, str]]) -> Report:
    pk, event_id, call_pk, group_pk, job, line, booked_on, booked_nanos, times, at, model = row[:11]
    family, *counts = row[11:17]
    nanos, source, *basis = row[17:22]
    is_trace, sender, gateway_id, part, covers_parts, started_at, fingerprint, copy_of, nested = row[22:]
    return Report(
        event_id=event_id,
        place=Place(*places[job]),
        occurred_at=at,
        model=model,
        family=family,
        tokens=Tokens(*counts),
        nanos=nanos,
        cost_source=source,
        basis=PriceBasis._make(basis),
        run_is_trace=is_trace,
        sender=sender,
        gateway_id=gateway_id,
        part=part,
        covers_parts=covers_parts,
        started_at=started_at,
        fingerprint=fingerprint,
        copy_of=copy_of,
        is_nested=nested,
        line=line,
        booked_at=Place(*places[booked_on]) if booked_on else None,
        booked_nanos=booked_nanos,
        times_booked=times,
        pk=pk,
        call_pk=call_pk,
        group_pk=group_pk,
    )


def write(project: Project, calls: Calls, jobs: Jobs) -> None:
    """Store new reports and ids, and where changed calls are booked now. `jobs` have been written."""
    groups = list(calls.touched())
    reports = [report for group in groups for report in group.reports]
    new = sorted((report for report in reports if report.pk is None), key=lambda report: report.event_id)
    for report, pk in zip(new, bulk.next_ids(CallReport, len(new)) if new else (), strict=True):
        report.pk = pk
    for group in groups:
        group_pk = min(call.pk for call in group.calls)
        for call in group.calls:
            call_pk = call.pk
            for report in call.reports:
                report.call_pk, report.group_pk = call_pk, group_pk
    rows = [(project.pk, *_row(report, jobs)) for report in new]
    bulk.insert(CallReport, ("project_id", *_COLUMNS), rows)
    new_pks = {report.pk for report in new}
    changes = [
        (*_state(report, jobs), report.pk)
        for report in sorted(reports, key=lambda report: report.pk or 0)
        if report.pk not in new_pks
    ]
    bulk.update(CallReport, project.pk, _CHANGING, changes)
    ids = [(project.pk, call_id, report.occurred_at, report.pk) for call_id, report in calls.new_ids]
    bulk.insert(CallId, ("project_id", "call_id", "occurred_at", "report_id"), ids)
    if new and not project.has_call_ids:
        Project.objects.filter(pk=project.pk).update(has_call_ids=True)


def _state(report: Report, jobs: Jobs) -> tuple[object, ...]:
    booked_on = jobs.at(report.booked_at).pk if report.booked_at else None
    booked = (report.line, booked_on, report.booked_nanos, report.times_booked)
    priced = (report.nanos, report.cost_source, report.basis.without, report.basis.source)
    return report.call_pk, report.group_pk, *booked, report.copy_of, report.is_nested, *priced


def _row(report: Report, jobs: Jobs) -> tuple[object, ...]:
    t = report.tokens
    call_pk, group_pk, *booked, copy_of, is_nested = _state(report, jobs)[: -len(_PRICED)]
    return (
        *(report.pk, report.event_id, call_pk, group_pk, jobs.at(report.place).pk, *booked),
        *(report.occurred_at, report.model, report.family),
        *(t.input, t.cache_read, t.cache_write, t.cache_write_1h, t.output),
        *(report.nanos, report.cost_source, *report.basis, report.run_is_trace),
        *(report.sender, report.gateway_id, report.part, report.covers_parts),
        *(report.started_at, report.fingerprint, copy_of, is_nested),
    )
