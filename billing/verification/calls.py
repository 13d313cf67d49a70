"""Verify that the ledger books each call once, and as `identity` says, from the reports of the calls."""

from collections.abc import Iterator
from itertools import combinations, groupby, islice

from billing.ledger.calls import store
from billing.ledger.calls.groups import MOST_SHARING
from billing.ledger.calls.identity import Report, may_agree, split
from billing.ledger.calls.standing import Call
from billing.models import CallId, CallReport, CreditTransaction, Lookalike
from products.models import Project

_CHUNK = 2_000


def differences(project: Project) -> Iterator[str]:
    """A line of text for each wrong call of a project."""
    reports = store.stream(project, _CHUNK)
    for _, linked in groupby(reports, key=lambda report: report.group_pk):
        for members in split(list(linked)):
            yield from _wrong_call(Call(members))
    yield from _wrong_lines(project)
    yield from _missed(project)
    yield from _settled_pairs(project)


def _wrong_call(call: Call) -> Iterator[str]:
    name = f"call of {', '.join(report.event_id for report in call.reports)}"
    pks = {report.call_pk for report in call.reports}
    if pks != {call.pk}:
        yield f"{name}: its reports are stored as those of other calls: {pks}"
    for standing, place, nanos in call.bookings:
        booked = call.booked(standing.part)
        if len(booked) != 1:
            yield f"{name}: {len(booked)} transactions book it instead of one"
        elif booked[0] is not standing:
            yield f"{name}: {booked[0].event_id} is booked, but {standing.event_id} stands"
        elif standing.booked_at != place:
            yield f"{name}: it is booked on {standing.booked_at}, but belongs to {place}"
        elif standing.booked_nanos != nanos:
            yield f"{name}: {standing.booked_nanos} nano-dollars are booked instead of {nanos}"


def _wrong_lines(project: Project) -> Iterator[str]:
    """Reports whose transaction is missing, reversed, on another job, or has other counts or costs."""
    rows = CallReport.objects.filter(project=project).exclude(line="")
    lines = CreditTransaction.objects.deductions().filter(project=project)
    reports = rows.order_by("pk").iterator(chunk_size=_CHUNK)
    while chunk := list(islice(reports, _CHUNK)):
        stored = {
            line.event_id: line for line in lines.filter(event_id__among=[report.line for report in chunk])
        }
        for report in chunk:
            line = stored.get(report.line)
            if line is None:
                yield f"call report {report.event_id}: its transaction {report.line} is missing or reversed"
            elif _booked(line, line.job_id, line.amount_nanos) != _booked(
                report, report.booked_on_id, report.booked_nanos
            ):
                yield f"call report {report.event_id}: its transaction {report.line} says something else"


def _booked(row: CreditTransaction | CallReport, job: int | None, nanos: int) -> tuple[object, ...]:
    return (
        *(job, row.occurred_at, row.model, nanos, row.cost_source, row.input_tokens),
        *(row.cache_read_tokens, row.cache_write_tokens, row.cache_write_1h_tokens, row.output_tokens),
    )


def _missed(project: Project) -> Iterator[str]:
    """Reports that share an id and may agree, but are not linked."""
    rows = CallId.objects.filter(project=project).order_by("call_id", "report")
    pairs = rows.values_list("call_id", "report").iterator(chunk_size=_CHUNK)
    for _, group in groupby(pairs, key=lambda pair: pair[0]):
        pks = [pk for _, pk in islice(group, MOST_SHARING + 1)]
        if 1 < len(pks) <= MOST_SHARING:
            yield from _disagreements(store.by_pk(project, pks))


def _disagreements(sharing: list[Report]) -> Iterator[str]:
    for a, b in combinations(sharing, 2):
        if a.group_pk != b.group_pk and may_agree(a, b):
            yield f"call reports {a.event_id} and {b.event_id} share an id, but are not linked"


def _settled_pairs(project: Project) -> Iterator[str]:
    """Pairs of reports that are shown as a possible double count, but are booked as one call."""
    rows = Lookalike.objects.filter(project=project).order_by("outer", "inner").values_list("outer", "inner")
    pairs = rows.iterator(chunk_size=_CHUNK)
    reports = CallReport.objects.filter(project=project)
    while chunk := list(islice(pairs, _CHUNK)):
        event_ids = sorted({event_id for pair in chunk for event_id in pair})
        calls = dict(reports.filter(event_id__among=event_ids).values_list("event_id", "call_pk"))
        for outer, inner in chunk:
            if outer not in calls or inner not in calls:
                yield f"possible double count of {outer} and {inner}: there is no such report"
            elif calls[outer] == calls[inner]:
                yield f"possible double count of {outer} and {inner}: they are booked as one call"
