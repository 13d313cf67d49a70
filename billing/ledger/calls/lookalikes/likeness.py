"""When two reports of calls may be of one call, although they share no id. Pure.

Two instrumentations of a process may both report a call: that of a framework, and within it that of the
provider's SDK. If neither names the call's id nor the other's span, this is all that tells: equal totals, one
model, one process, and the one lasts from before the other's start until after its end.
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
"""How many reports that start within another one are compared with it, the first ones. It takes as many calls
with equal counts at once to reach this; which of them are compared may then depend on how they arrive."""

Senders = tuple[str, str]
"""The lesser one first."""


class Extent(NamedTuple):
    """From when until when a report says that its call lasted."""

    event_id: str
    sender: str
    fingerprint: str
    started_at: datetime
    ended_at: datetime


class Alike(NamedTuple):
    """The event ids of two reports that may be of one call."""

    margin: int
    """By how many microseconds the outer one lasts longer."""
    outer: str
    inner: str


def fingerprint(event: UsageEvent) -> str:
    """Equal for deductions that may pay for the same call; "" if the event does not say enough."""
    start, tokens = event.call_started_at, event.tokens
    if start is None or start > event.occurred_at or not tokens.total:
        return ""
    facts = (event.resource, tokens.all_input, tokens.output, family(event.model))
    return blake2b(repr(facts).encode(), digest_size=8).hexdigest()


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
        group.sort(key=lambda extent: (extent.started_at, extent.event_id))
        starts = [extent.started_at for extent in group]
        for outer in group:
            first = bisect_left(starts, outer.started_at)
            after = min(bisect_right(starts, outer.ended_at), first + MOST)
            for inner in group[first:after]:
                if (outer.event_id in new or inner.event_id in new) and _encloses(outer, inner):
                    yield Alike(_margin(outer, inner), outer.event_id, inner.event_id)


def _encloses(outer: Extent, inner: Extent) -> bool:
    """`inner` starts no earlier than `outer`. If their times are equal, the lesser event id is the outer."""
    if outer.sender == inner.sender or not outer.ended_at - WINDOW <= inner.ended_at <= outer.ended_at:
        return False
    return outer[3:] != inner[3:] or outer.event_id < inner.event_id


def _margin(outer: Extent, inner: Extent) -> int:
    longer = (outer.ended_at - outer.started_at) - (inner.ended_at - inner.started_at)
    return longer // timedelta(microseconds=1)


def matched(pairs: Iterable[Alike]) -> Sequence[Alike]:
    """The pairs of two senders that can all be one call each: no report is in two of them.

    An outer report may enclose several inner ones with equal counts, such as attempts that were all billed,
    or the other way round. The tightest pair comes first, because a wrapper hardly lasts longer than what it
    wraps; then the lesser event ids.
    """
    outer: set[str] = set()
    inner: set[str] = set()
    found = []
    for pair in sorted(pairs):
        if pair.outer not in outer and pair.inner not in inner:
            outer.add(pair.outer)
            inner.add(pair.inner)
            found.append(pair)
    return found


def senders(a: str, b: str) -> Senders:
    return (a, b) if a < b else (b, a)
