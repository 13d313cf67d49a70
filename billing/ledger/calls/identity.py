"""Which reports are of the same model call, and which of them the ledger books. Pure.

Several senders may report a call: an agent's log, its telemetry, a gateway. Reports that share a call id
and agree are of one call; so is whatever they connect. A call is thus a function of the set of its reports,
and so are the report that stands, for cost and tokens, and the place that it is booked at: a run and job.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

import msgspec

from billing.events import price_factors
from billing.events.cost import NO_BASIS, Cost, PriceBasis
from billing.events.usage_event import Tokens, UsageEvent

WINDOW = timedelta(hours=1)
"""How far apart the instants of two reports of a call may be: one may give its start, another its end."""


class Place(NamedTuple):
    """The sender's ids of a run and of a job in it."""

    run_id: str
    job_id: str


class Report(msgspec.Struct, kw_only=True, eq=False):
    """What one deduction reports of a call. The last fields change as the ledger follows the call."""

    event_id: str
    place: Place
    occurred_at: datetime
    model: str
    tokens: Tokens
    nanos: int
    cost_source: str
    basis: PriceBasis = NO_BASIS
    is_repriced: bool = False
    """Whether the cost has changed since the ledger booked it, because a price factor has become known."""
    names_agent: bool = False
    """Whether the agent of `place` is known by now; it may be named after the call."""
    run_is_trace: bool = False
    sender: str = ""
    gateway_id: str = ""
    part: str = ""
    """As in `UsageEvent`. Of the reports of each part of a call, one stands."""
    covers_parts: str = ""
    started_at: datetime | None = None
    fingerprint: str = ""
    """Equal for reports that may be of the same call, as `billing.ledger.calls.lookalikes` says."""
    is_nested: bool = False
    """Whether another report's span encloses this one's: two instrumentations, one inside the other."""
    line: str = ""
    """The event id of the transaction that books the call, on the report that stands; "" on the others."""
    growth: tuple[str, ...] = ()
    """The event ids of further transactions, which book what the counts grew by. Before calls had ids, each
    growth was a transaction of its own."""
    booked_at: Place | None = None
    """Where that transaction is."""
    booked_nanos: int = 0
    """The amount of that transaction."""
    times_booked: int = 0
    """How many transactions this report has had; all but one are reversed."""
    pk: int | None = None
    call_pk: int | None = None
    """The lowest `pk` of the call's reports."""


def report_of(event: UsageEvent, cost: Cost) -> Report:
    report = Report(
        event_id=event.event_id,
        place=Place(event.run_id, event.job_id),
        occurred_at=event.occurred_at,
        model=event.model,
        tokens=event.tokens,
        nanos=cost.nanos,
        cost_source=cost.source,
        basis=cost.basis,
    )
    note_origin(report, event)
    return report


def note_origin(report: Report, event: UsageEvent) -> None:
    """Note who reports what, which a report that is made of a transaction does not know."""
    report.sender, report.gateway_id = event.sender, event.gateway_id
    report.run_is_trace = event.run_is_trace
    report.part, report.covers_parts = event.part, event.covers_parts


def agree(a: Report, b: Report) -> bool:
    """Whether two reports that share an id can be of one call; if not, the id was used for two calls."""
    if a.gateway_id and b.gateway_id and a.gateway_id != b.gateway_id:
        return False
    if a.sender and a.sender == b.sender and a.occurred_at != b.occurred_at:
        return False
    if abs(a.occurred_at - b.occurred_at) > WINDOW:
        return False
    if a.part != b.part:
        return True
    return _same_family(a.model, b.model) and (_grew(a.tokens, b.tokens) or _grew(b.tokens, a.tokens))


def _grew(early: Tokens, late: Tokens) -> bool:
    """Whether `late` can be a later copy, with equal or larger totals. Its parts may be known better."""
    return early.all_input <= late.all_input and early.output <= late.output


def _same_family(a: str, b: str) -> bool:
    return a == b or not a or not b or family(a) == family(b)


@lru_cache(maxsize=2048)
def family(model: str) -> str:
    """A model's name without provider, region, date and version, so that all senders' spellings are equal."""
    name = model.lower().rpartition("/")[2]
    name = _VENDOR.sub("", name)
    name = re.sub(r"@.*$|\[.*\]$|:[^:]*$", "", name).replace("_", "-").replace(".", "-")
    while (shorter := _VERSION.sub("", name)) != name:
        name = shorter
    return name


_VENDOR = re.compile(
    r"^(?:[a-z-]+\.)?(?:ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|moonshotai|nvidia|openai"
    r"|qwen|writer|xai|zai)\.|^[a-z][a-z_-]*:(?=[a-z])"
)
"""Bedrock's region and vendor, or a provider before a colon."""
_VERSION = re.compile(r"-(?:latest|v\d+|preview|\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{2}|\d{3,4})$")


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

    @property
    def signature(self) -> list[tuple[str, Place, int]]:
        """The bookings as values to compare."""
        return [(standing.event_id, place, nanos) for standing, place, nanos in self.bookings]

    def booked(self, part: str) -> list[Report]:
        """Reports of a part with a transaction that stands: several if two calls turn out to be one."""
        return [report for report in self.reports if report.line and report.part == part]


def _without_parts(report: Report, standing: dict[str, Report]) -> int:
    """A report's cost without that of the parts that its stated cost includes and others report."""
    if not report.covers_parts or report.cost_source != "reported":
        return report.nanos
    parts = (other.nanos for part, other in standing.items() if part.startswith(report.covers_parts))
    return max(report.nanos - sum(parts), 0)


class Calls:
    """The calls that a batch may touch. Reports are added one by one, in the order of their events."""

    def __init__(self) -> None:
        self.reports: dict[str, Report] = {}
        """By event id."""
        self.ids: defaultdict[str, set[str]] = defaultdict(set)
        """The call ids of each report, by its event id."""
        self.new_ids: list[tuple[str, Report]] = []
        self.alike: list[tuple[Report, Report]] = []
        """Outer and inner reports that may be of one call; nobody has said yet that they are."""
        self._call_of: dict[str, Call] = {}
        self._sharing: defaultdict[str, list[Report]] = defaultdict(list)
        self._touched: dict[str, None] = {}

    def restore(self, reports: Iterable[Report], ids: Iterable[tuple[str, str]]) -> None:
        """Add what is stored: reports, and (call id, event id) pairs of the ids that the batch has."""
        calls: defaultdict[int | None, list[Report]] = defaultdict(list)
        for report in reports:
            calls[report.call_pk].append(report)
            self.reports[report.event_id] = report
        for members in calls.values():
            call = Call(members)
            for report in members:
                self._call_of[report.event_id] = call
        for call_id, event_id in ids:
            self._index(call_id, self.reports[event_id])

    def touched(self) -> list[Call]:
        """The calls that have new reports or have become one."""
        calls = {id(self._call_of[event_id]): self._call_of[event_id] for event_id in self._touched}
        return list(calls.values())

    def touch(self, reports: Iterable[Report]) -> None:
        """Look at these reports' calls again, because their jobs have changed."""
        self._touched |= dict.fromkeys(report.event_id for report in reports)

    def add(self, report: Report, call_ids: Iterable[str]) -> bool:
        """Add a report, or further ids of one that is known; return whether another booking results."""
        event_id = report.event_id
        before: list[tuple[str, Place, int]] = []
        if event_id not in self.reports:
            self.reports[event_id] = report
            self._call_of[event_id] = Call([report])
            self._touched[event_id] = None
            if report.line:
                before += self._call_of[event_id].signature
        else:
            report = self.reports[event_id]
            before += self._call_of[event_id].signature
        for call_id in call_ids:
            if call_id in self.ids[event_id]:
                continue
            self._index(call_id, report)
            self.new_ids.append((call_id, report))
            for other in self._sharing[call_id]:
                if other is not report and agree(report, other):
                    self._join(report, other, before)
        return before != self._call_of[event_id].signature

    def call_of(self, report: Report) -> Call:
        return self._call_of[report.event_id]

    def link(self, outer: Report, inner: Report) -> None:
        """Make two reports one call whose spans show it: one encloses the other, with equal totals."""
        if not inner.is_nested:
            inner.is_nested = True
            self._touched[inner.event_id] = None
        self.unite(inner, outer)

    def unite(self, a: Report, b: Report) -> None:
        """Make two reports one call, whether or not they agree."""
        self._join(a, b, [])

    def _index(self, call_id: str, report: Report) -> None:
        self.ids[report.event_id].add(call_id)
        self._sharing[call_id].append(report)

    def _join(self, report: Report, other: Report, before: list[tuple[str, Place, int]]) -> None:
        """Make the calls of two reports one; note in `before` what the other call booked."""
        mine, others = self._call_of[report.event_id], self._call_of[other.event_id]
        if mine is others:
            return
        before += others.signature
        small, large = sorted((mine, others), key=lambda call: len(call.reports))
        large.reports += small.reports
        for moved in small.reports:
            self._call_of[moved.event_id] = large
        self._touched[report.event_id] = None
