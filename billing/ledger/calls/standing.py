"""Which report of a call the ledger books, for how much, and where. Pure.

Both are a function of the set of the call's reports: the report that stands, for cost and tokens, and the
place that the call is booked at, a run and job.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from billing.events import price_factors
from billing.ledger.calls.identity import Place, Report

# Plain strings, as in `billing.ledger.costs`.
_SOURCE_RANK = {"unpriced": 0, "computed": 1, "reported": 2}


def _standing_rank(report: Report) -> tuple[int, int, int, list[int]]:
    """A stated cost, which may include fees, over a computed one; more parts over fewer; then the larger
    total, because counts grow; then the lesser event id."""
    t = report.tokens
    parts = (t.cache_read > 0) + (t.cache_write > 0) + (t.cache_write_1h > 0)
    if report.basis.factors:
        parts += price_factors.from_text(report.basis.factors).count
    return _SOURCE_RANK[report.cost_source], parts, t.total, _descending(report.event_id)


def _place_rank(report: Report) -> tuple[bool, bool, bool, tuple[int, int, int, list[int]]]:
    """The outer span's, then a named agent's, then a session's, not a trace's; then as the report stands."""
    return not report.is_nested, report.names_agent, not report.run_is_trace, _standing_rank(report)


def _descending(text: str) -> list[int]:
    """Compares the other way round than the text. The number at the end puts "a" before "ab"."""
    return [*(-ord(character) for character in text), 1]


class Booking(NamedTuple):
    """What the ledger must book of a call, or of one part of it."""

    standing: Report
    place: Place
    nanos: int


class Call:
    """The reports of one model call."""

    def __init__(self, reports: Iterable[Report]) -> None:
        self.reports = list(reports)

    @property
    def pk(self) -> int:
        """The lowest `pk` of its reports, which must be stored."""
        return min(report.pk for report in self.reports if report.pk is not None)

    @property
    def place(self) -> Place:
        """The run and job that the call is booked on, with all its parts."""
        whole = [report for report in self.reports if not report.part]
        return max(whole or self.reports, key=_place_rank).place

    @property
    def bookings(self) -> list[Booking]:
        """One for the call and for each part of it that is billed beside the rest."""
        of_parts: defaultdict[str, list[Report]] = defaultdict(list)
        for report in self.reports:
            of_parts[report.part].append(report)
        standing = {part: max(reports, key=_standing_rank) for part, reports in of_parts.items()}
        place = self.place
        return [
            Booking(report, place, _without_parts(report, standing)) for _, report in sorted(standing.items())
        ]

    def booked(self, part: str) -> list[Report]:
        """Reports of a part with a transaction that stands: several if two calls turn out to be one."""
        return [report for report in self.reports if report.line and report.part == part]


def _without_parts(report: Report, standing: dict[str, Report]) -> int:
    """A report's cost without that of the parts that its stated cost includes and others report."""
    if not report.covers_parts or report.cost_source != "reported":
        return report.nanos
    parts = (other.nanos for part, other in standing.items() if part.startswith(report.covers_parts))
    return max(report.nanos - sum(parts), 0)
