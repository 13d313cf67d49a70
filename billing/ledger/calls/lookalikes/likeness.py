"""When two reports of calls may be of one call, although they share no id. Pure.

Two instrumentations of a process may both report a call: that of a framework, and within it that of the
provider's SDK. If neither names the call's id nor the other's span, this is all that tells: equal totals, one
model, one process, and the one lasts from before the other's start until after its end.

An agent may report a call in its session's log, in its telemetry's log records and in its spans. Behind a
gateway that gives no request ids, these share no id either. The session takes the place of the process; and
because some give one instant only, it is enough that they have a moment in common, or nearly so.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple

from billing.events.usage_event import UsageEvent
from billing.ledger.calls.families import family
from billing.ledger.calls.identity import WINDOW

MOST = 100
"""How many reports within another one are compared with it. It takes as many calls with equal counts at once
to reach this; which of them are compared may then depend on how they arrive."""

TOLERANCE = timedelta(seconds=5)
"""How far apart an agent's reports of a call may be: each is written by another part of it."""

_OF_SESSION = "s"
"""Begins the fingerprints of agents' own reports; the others begin with a hexadecimal digit."""

Senders = tuple[str, str]
"""The lesser one first."""


class Extent(NamedTuple):
    """From when until when a report says that its call lasted."""

    event_id: str
    sender: str
    fingerprint: str
    started_at: datetime
    ended_at: datetime

    @property
    def is_of_session(self) -> bool:
        """Whether it is of an agent's own report."""
        return self.fingerprint.startswith(_OF_SESSION)

    @property
    def length(self) -> timedelta:
        return self.ended_at - self.started_at


class Alike(NamedTuple):
    """The event ids of two reports that may be of one call."""

    margin: int
    """By how many microseconds the outer one lasts longer; of an agent's own reports, by how many it ends
    later."""
    outer: str
    inner: str


def fingerprint(event: UsageEvent) -> str:
    """Equal for deductions that may pay for the same call; "" if the event does not say enough."""
    start, tokens = event.call_started_at, event.tokens
    if start is None or start > event.occurred_at or not tokens.total or event.part:
        return ""
    origin = event.run_id if event.is_agents_own else event.resource
    facts = (origin, tokens.all_input, tokens.output, family(event.model))
    digest = blake2b(repr(facts).encode(), digest_size=8).hexdigest()
    return _OF_SESSION + digest[1:] if event.is_agents_own else digest


def extent_of(event: UsageEvent) -> Extent | None:
    start, found = event.call_started_at, fingerprint(event)
    if not start or not found:
        return None
    return Extent(event.event_id, event.sender, found, start, event.occurred_at)


def alike(extents: Iterable[Extent], new: Collection[str]) -> Iterator[Alike]:
    """Pairs of reports that may be of one call and of which at least one is `new`, an event id."""
    groups: defaultdict[str, list[Extent]] = defaultdict(list)
    for extent in extents:
        groups[extent.fingerprint].append(extent)
    for group in groups.values():
        if len({extent.sender for extent in group}) < 2:
            continue
        for outer, inner in _of_session(group) if group[0].is_of_session else _enclosing(group):
            if outer.event_id in new or inner.event_id in new:
                yield Alike(margin(outer, inner), outer.event_id, inner.event_id)


def _enclosing(group: list[Extent]) -> Iterator[tuple[Extent, Extent]]:
    """Each report, and those of other senders that start and end within it."""
    group.sort(key=lambda extent: (extent.started_at, extent.event_id))
    starts = [extent.started_at for extent in group]
    for outer in group:
        first = bisect_left(starts, outer.started_at)
        after = min(bisect_right(starts, outer.ended_at), first + MOST)
        for inner in group[first:after]:
            if _encloses(outer, inner):
                yield outer, inner


def _encloses(outer: Extent, inner: Extent) -> bool:
    """`inner` starts no earlier than `outer`. If their times are equal, the lesser event id is the outer."""
    if outer.sender == inner.sender or not outer.ended_at - WINDOW <= inner.ended_at <= outer.ended_at:
        return False
    return outer[3:] != inner[3:] or outer.event_id < inner.event_id


def _of_session(group: list[Extent]) -> Iterator[tuple[Extent, Extent]]:
    """An agent's own reports of other senders that have a moment in common; the outer one ends later.

    If they end at once, the longer one is the outer, and then the one with the lesser event id.
    """
    group.sort(key=lambda extent: extent.event_id, reverse=True)
    group.sort(key=lambda extent: (extent.ended_at, extent.length))
    ends = [extent.ended_at for extent in group]
    for position, outer in enumerate(group):
        earliest = max(outer.started_at - TOLERANCE, outer.ended_at - WINDOW)
        first = max(bisect_left(ends, earliest), position - MOST)
        for inner in group[first:position]:
            if inner.sender != outer.sender:
                yield outer, inner


def margin(outer: Extent, inner: Extent) -> int:
    later = outer.ended_at - inner.ended_at
    longer = later if outer.is_of_session else outer.length - inner.length
    return longer // timedelta(microseconds=1)


def matched(pairs: Iterable[Alike]) -> Sequence[Alike]:
    """The pairs of two senders that can all be one call each: no report is in two of them.

    An outer report may enclose several inner ones with equal counts, such as attempts that were all billed,
    or the other way round. The tightest pair comes first, because a wrapper hardly lasts longer than what it
    wraps; then the lesser event ids.
    """
    taken: set[str] = set()
    found = []
    for pair in sorted(pairs):
        if pair.outer not in taken and pair.inner not in taken:
            taken |= {pair.outer, pair.inner}
            found.append(pair)
    return found


def senders(a: str, b: str) -> Senders:
    return (a, b) if a < b else (b, a)
