"""Adjust the ledger to the reports of calls: book the report that stands, take back what it replaces.

The ledger is append-only. A deduction that no longer stands is taken back by a reversal, a line with its
amount, tokens, job and day; the deduction that replaces it is an ordinary line. Both name the line that they
adjust.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef, Q

from billing.db import bulk
from billing.events.cost import NO_BASIS, PriceBasis
from billing.events.usage_event import DEDUCTION, NO_TOKENS, REVERSAL, Tokens
from billing.ledger.calls.groups import Calls
from billing.ledger.calls.identity import Place, Report
from billing.ledger.calls.standing import Booking
from billing.ledger.lookup import PRICED
from billing.models import BASIS_COLUMNS, CostSource, CreditTransaction
from products.models import AgentJob, Project

_COMPUTED = CostSource.COMPUTED.value


class NewLine(NamedTuple):
    """A transaction to write."""

    event_id: str
    kind: str
    place: Place
    occurred_at: datetime
    model: str
    tokens: Tokens
    nanos: int
    cost_source: str
    basis: PriceBasis
    adjusts: int | None
    missing_nanos: int | None = None
    """The missing cost of an unpriced line, if it has been added since: the line gets a correction."""


class OldLine(NamedTuple):
    """A deduction in the ledger, or the correction that adds its missing cost."""

    pk: int
    event_id: str
    occurred_at: datetime
    model: str
    nanos: int
    cost_source: str
    basis: PriceBasis
    tokens: Tokens


@dataclass
class Adjustments:
    """The lines that a batch's calls add to the ledger."""

    booked: list[NewLine] = field(default_factory=list)
    reversed: list[NewLine] = field(default_factory=list)
    reversed_pks: dict[Place, list[int]] = field(default_factory=dict)

    @property
    def lines(self) -> list[NewLine]:
        return [*self.booked, *self.reversed]

    def take_back(self, line: OldLine, correction: OldLine | None, place: Place, free: "FreeIds") -> None:
        """Reverse a line and the correction that adds its missing cost."""
        # A corrected line no longer counts as unpriced, so its reversal must not count, either.
        source = _COMPUTED if correction else line.cost_source
        self.reversed.append(_reversal(line, source, place, free))
        self.reversed_pks.setdefault(place, []).append(line.pk)
        if correction:
            self.reversed.append(_reversal(correction, _COMPUTED, place, free))


def settle(project: Project, calls: Calls) -> Adjustments:
    """The lines that make the ledger book each changed call once. Notes on the reports what is booked."""
    changed = [
        (booking, call.booked(booking.standing.part))
        for group in calls.touched()
        for call in group.calls
        for booking in call.bookings
        if not is_booked(booking, call.booked(booking.standing.part))
    ]
    replaced = [report for _, booked in changed for report in booked]
    returning = [booking.standing for booking, _ in changed if _returns(booking.standing)]
    old = _lines(project, [line for report in replaced for line in (report.line, *report.growth)])
    taken_back = {report.event_id: _last_line(project, report) for report in returning}
    old_corrections = _corrections(project, [line.pk for line in (*old.values(), *taken_back.values())])
    free = _free_ids(project, [booking.standing for booking, _ in changed], [*replaced, *returning])
    adjustments = Adjustments()
    for booking, booked in changed:
        earlier = taken_back.get(booking.standing.event_id)
        _settle(booking, booked, earlier, _Old(old, old_corrections), free, adjustments)
    return adjustments


def _returns(report: Report) -> bool:
    """Whether it stands again, because the report that replaced it turned out to be of another call."""
    return bool(report.times_booked) and not report.line


def is_booked(booking: Booking, booked: list[Report]) -> bool:
    """Whether the ledger books this already, given the reports that have a transaction."""
    standing, place, nanos = booking
    if standing.is_repriced:
        return False
    return booked == [standing] and not standing.growth and _booked(standing) == (place, nanos)


def _booked(report: Report) -> tuple[Place | None, int]:
    return report.booked_at, report.booked_nanos


class _Old(NamedTuple):
    """What the ledger holds of reports that no longer stand."""

    lines: dict[str, OldLine]
    corrections: dict[int, OldLine]
    """By the line that they correct."""


def _settle(
    booking: Booking,
    booked: list[Report],
    earlier: OldLine | None,
    old: _Old,
    free: "FreeIds",
    adjustments: Adjustments,
) -> None:
    standing, place, nanos = booking
    adjusts, missing = None, None
    if earlier:
        adjusts = earlier.pk
        missing = old.corrections[earlier.pk].nanos if earlier.pk in old.corrections else None
    for report in booked:
        if is_booked(booking, [report]):
            continue
        assert report.booked_at
        lines = [old.lines[event_id] for event_id in (report.line, *report.growth)]
        for line in lines:
            correction = old.corrections.get(line.pk)
            adjustments.take_back(line, correction, report.booked_at, free)
            if report is standing and correction:
                missing = (missing or 0) + correction.nanos
        report.line, report.growth, report.booked_at, report.booked_nanos = "", (), None, 0
        adjusts = adjusts or lines[0].pk
    if not standing.line:
        standing.line, standing.booked_at, standing.booked_nanos = free.for_booking(standing), place, nanos
        standing.times_booked += 1
        standing.is_repriced = False
        adjustments.booked.append(
            NewLine(
                *(standing.line, DEDUCTION, place, standing.occurred_at, standing.model, standing.tokens),
                *(nanos, standing.cost_source, standing.basis, adjusts, missing),
            )
        )


def correction_of(line: NewLine) -> NewLine:
    """The line that adds the missing cost of an unpriced line."""
    assert line.missing_nanos is not None
    return line._replace(
        event_id=f"{line.event_id}{PRICED}",
        tokens=NO_TOKENS,
        nanos=line.missing_nanos,
        cost_source=_COMPUTED,
        basis=NO_BASIS,
    )


def _reversal(line: OldLine, source: str, place: Place, free: "FreeIds") -> NewLine:
    event_id = free.for_reversal(line.event_id)
    return NewLine(
        *(event_id, REVERSAL, place, line.occurred_at, line.model, line.tokens, line.nanos, source),
        *(line.basis, line.pk),
    )


_OLD_LINE = (
    *("id", "event_id", "occurred_at", "model", "amount_nanos", "cost_source", *BASIS_COLUMNS),
    *("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens"),
)


def _old_line(row: Sequence[Any]) -> OldLine:
    return OldLine._make([*row[:6], PriceBasis._make(row[6:9]), Tokens(*row[9:])])


def _lines(project: Project, event_ids: list[str]) -> dict[str, OldLine]:
    wanted = [(event_id,) for event_id in sorted(event_ids)]
    rows = bulk.find(CreditTransaction, project.pk, ("event_id",), wanted, _OLD_LINE)
    return {row[1]: _old_line(row) for row in rows}


def _last_line(project: Project, report: Report) -> OldLine:
    """The line that booked a report until it was taken back."""
    own = Q(event_id=report.event_id) | Q(
        event_id__gte=f"{report.event_id}+moved", event_id__lt=f"{report.event_id}+movee"
    )
    lines = CreditTransaction.objects.filter(own, project=project, kind=DEDUCTION, corrects=None)
    return _old_line(lines.order_by("-pk").values_list(*_OLD_LINE)[0])


def _corrections(project: Project, pks: list[int]) -> dict[int, OldLine]:
    """The lines that add a missing cost, by the line that they correct."""
    columns = ("corrects_id", *_OLD_LINE)
    rows = bulk.find(CreditTransaction, project.pk, ("corrects_id",), [(pk,) for pk in sorted(pks)], columns)
    return {row[0]: _old_line(row[1:]) for row in rows}


class FreeIds:
    """Event ids for lines that no sender sent: `<event id>+moved<n>` and `<event id>+reversed`."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def for_booking(self, report: Report) -> str:
        """The report's own id for its first line."""
        if not report.times_booked:
            return report.event_id
        return self._free(f"{report.event_id}+moved{report.times_booked}")

    def for_reversal(self, event_id: str) -> str:
        return self._free(f"{event_id}+reversed")

    def _free(self, wanted: str) -> str:
        while wanted in self._taken:  # a sender has used the id
            wanted += "'"
        self._taken.add(wanted)
        return wanted


_ADDED = re.compile(r"\+moved\d+'*\Z", re.ASCII)


def sent_id(event_id: str) -> str:
    """The id that the sender of a moved line sent."""
    return _ADDED.sub("", event_id)


def _free_ids(project: Project, standing: list[Report], replaced: list[Report]) -> FreeIds:
    if not replaced:
        return FreeIds(())
    lines = [line for report in replaced for line in (report.line, *report.growth) if line]
    wanted = [f"{line}{suffix}" for line in lines for suffix in ("+reversed", f"{PRICED}+reversed")]
    wanted += [f"{report.event_id}+moved{report.times_booked}" for report in standing]
    taken: list[str] = []
    for start in range(0, len(wanted), 100):
        ranges = Q()
        for event_id in wanted[start : start + 100]:
            ranges |= Q(event_id__gte=event_id, event_id__lt=f"{event_id}'(")
        taken += CreditTransaction.objects.filter(ranges, project=project).values_list("event_id", flat=True)
    return FreeIds(taken)


def jobs_without_deduction(project: Project, jobs: dict[int, list[int]]) -> set[int]:
    """Those of these jobs that have no deduction left once these lines, by job, are reversed."""
    gone = [pk for pks in jobs.values() for pk in pks]
    left = (
        CreditTransaction.objects.deductions()
        .filter(project=project, job=OuterRef("pk"))
        .exclude(pk__in=gone)
    )
    rows = AgentJob.objects.filter(~Exists(left), project=project, pk__in=list(jobs))
    return set(rows.values_list("pk", flat=True))
