"""Which reports are of the same model call. Pure.

Several senders may report a call: an agent's log, its telemetry, a gateway. Reports are linked if they share
a call id, or if their spans show that they are of one call. Linked reports, and whatever they link, are of
one call, unless some contradict each other: then they are split into calls whose reports all agree. Calls are
thus a function of the set of reports and links.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import combinations, product
from typing import NamedTuple

import msgspec

from billing.events.cost import NO_BASIS, Cost, PriceBasis
from billing.events.usage_event import Tokens, UsageEvent
from billing.ledger.calls.families import known_family

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
    family: str = ""
    """As `families.known_family` says when the report comes."""
    tokens: Tokens
    nanos: int
    cost_source: str
    basis: PriceBasis = NO_BASIS
    is_repriced: bool = False
    """Whether the cost has changed since the ledger booked it, because a price has become known."""
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
    copy_of: str = ""
    """The event id of a report of the same response by the same sender, if it is another copy of it."""
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
    group_pk: int | None = None
    """The lowest `pk` of all reports that links connect with this one."""


def report_of(event: UsageEvent, cost: Cost) -> Report:
    report = Report(
        event_id=event.event_id,
        place=Place(event.run_id, event.job_id),
        occurred_at=event.occurred_at,
        model=event.model,
        family=known_family(event.model),
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


def may_agree(a: Report, b: Report) -> bool:
    """Whether two reports that share an id can be of one call; if not, the id was used for two calls.

    Never changes for two reports, so that they are linked or not whatever comes later.
    """
    if a.gateway_id and b.gateway_id and a.gateway_id != b.gateway_id:
        return False
    if _is_one_sender_twice(a, b) and not (_encloses(a, b) or _encloses(b, a)):
        return False
    if abs(a.occurred_at - b.occurred_at) > WINDOW:
        return False
    if a.part != b.part:
        return True
    return _same_family(a, b) and (_grew(a.tokens, b.tokens) or _grew(b.tokens, a.tokens))


def agree(a: Report, b: Report) -> bool:
    """Whether linked reports are of one call, by what is known so far.

    A sender reports a call once, but a span of it within another one may be of the same call.
    """
    return may_agree(a, b) and (a.is_nested or b.is_nested or not _is_one_sender_twice(a, b))


def _is_one_sender_twice(a: Report, b: Report) -> bool:
    return bool(a.sender) and a.sender == b.sender and a.occurred_at != b.occurred_at


def _encloses(outer: Report, inner: Report) -> bool:
    if not outer.started_at or not inner.started_at:
        return False
    return outer.started_at <= inner.started_at and inner.occurred_at <= outer.occurred_at


def split(linked: Sequence[Report]) -> list[list[Report]]:
    """Linked reports by call. Copies are of one call; then those that are closest are united first."""
    call_of = _copies(linked)
    first = [min(call, key=_copy_rank) for call in _different(call_of)]
    agreeing = [pair for pair in combinations(first, 2) if agree(*pair)]
    if len(agreeing) == len(first) * (len(first) - 1) // 2:
        return [list(linked)]
    united = {report.event_id: [report] for report in first}
    for a, b in sorted(agreeing, key=_distance):
        call, other = united[a.event_id], united[b.event_id]
        if call is not other and all(agree(*pair) for pair in product(call, other)):
            call += other
            united |= dict.fromkeys((report.event_id for report in other), call)
    return [[copy for report in call for copy in call_of[report.event_id]] for call in _different(united)]


def _copies(linked: Sequence[Report]) -> dict[str, list[Report]]:
    """The copies of each report, itself among them, by its event id."""
    call_of = {report.event_id: [report] for report in linked}
    for report in linked:
        copies, others = call_of[report.event_id], call_of.get(report.copy_of)
        if others and copies is not others:
            others += copies
            call_of |= dict.fromkeys((copy.event_id for copy in copies), others)
    return call_of


def _different(calls: Mapping[str, list[Report]]) -> list[list[Report]]:
    return list({id(call): call for call in calls.values()}.values())


def _copy_rank(report: Report) -> tuple[bool, int, str]:
    """Of several copies the lowest is compared with other reports. A replay may be hours later."""
    return report.is_nested, -report.tokens.total, report.event_id


def _distance(pair: tuple[Report, Report]) -> tuple[bool, timedelta, list[str]]:
    """Equal totals before the nearest in time, because calls with the same id may run at once."""
    a, b = pair
    differ = (a.tokens.all_input, a.tokens.output) != (b.tokens.all_input, b.tokens.output)
    return differ, abs(a.occurred_at - b.occurred_at), sorted((a.event_id, b.event_id))


def _grew(early: Tokens, late: Tokens) -> bool:
    """Whether `late` can be a later copy, with equal or larger totals. Its parts may be known better."""
    return early.all_input <= late.all_input and early.output <= late.output


def _same_family(a: Report, b: Report) -> bool:
    """A family that is not known contradicts none: the name may be an alias of any model."""
    return a.family == b.family or not a.family or not b.family or a.model == b.model
