"""Which response in the ledger a response in an agent's log is, though the ids differ. Pure.

A log names a response by its message id and request id, and these don't always tell: gateways give no
request id and use message ids again, the request id may stand in one copy only, and a side question's log
replays its session's responses under request ids of its own. `billing.sources.claude_code.responses` settles
that among the files of one import. Here the same rules settle it between imports, so that neither their
grouping nor their order makes a difference to the figures.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import msgspec

from billing.events.usage_event import DEDUCTION, Rejection, Tokens, UsageEvent
from billing.sources.claude_code.records import is_side_question
from billing.sources.foreign_ids import reused_id


class Name(NamedTuple):
    """What a response goes by in an import."""

    message: str
    event_id: str
    """Without that of a part."""
    has_request: bool


class Known(NamedTuple):
    """A response in the ledger."""

    event_id: str
    occurred_at: datetime
    run_id: str
    job_id: str
    model: str
    tokens: Tokens
    call: int | None = None
    """Equal for reports of one call."""
    growth: tuple[str, ...] = ()
    """The event ids of further reports, after its counts had grown."""


class Match(NamedTuple):
    event_id: str
    """Under which the response is, or will be, in the ledger."""
    inner: tuple[str, ...] = ()
    """Other reports of the response that the ledger took for another one; it is booked on this one's job."""
    outer: tuple[str, ...] = ()
    """The same, but it is booked on theirs."""
    names_call: bool = True
    """Whether the message id is its call's, not that of another response at the same instant."""


def name_of(event: UsageEvent | Rejection) -> Name | None:
    """None for what is no response, and for ids that are hashed as a whole."""
    if isinstance(event, Rejection) or event.kind != DEDUCTION or not event.sender:
        return None
    event_id = event.event_id.removesuffix(f"+{event.part}") if event.part else event.event_id
    if not event.call_ids:
        message = event_id.removesuffix(f"@{event.run_id}")
        return Name(message, event_id, has_request=False) if message != event_id else None
    first, *_ = event.call_ids
    if event_id in (first, reused_id(first, event.occurred_at)):
        return Name(first, event_id, has_request=False)
    message = event_id.removesuffix(f":{first}")
    return Name(message, event_id, has_request=True) if message in event.call_ids else None


class KnownResponses:
    """What the ledger holds under one message id: a gateway may use it for thousands of responses."""

    def __init__(self, message: str, responses: Iterable[Known]) -> None:
        self.message = message
        self.requests: dict[str, Known] = {}
        self.replays: list[Known] = []
        """Those of the requests that a side question's log has reported."""
        self.requests_of_run: defaultdict[str, list[Known]] = defaultdict(list)
        self.plain: dict[str, Known] = {}
        """Those without a request id."""
        self.plain_of_run: defaultdict[str, list[Known]] = defaultdict(list)
        self.plain_at: defaultdict[datetime, list[Known]] = defaultdict(list)
        for response in sorted(responses, key=lambda response: (response.occurred_at, response.event_id)):
            self._add(response)

    def _add(self, response: Known) -> None:
        if not response.event_id.startswith(f"{self.message}:"):
            self.plain[response.event_id] = response
            self.plain_of_run[response.run_id].append(response)
            self.plain_at[response.occurred_at].append(response)
            return
        self.requests[response.event_id] = response
        self.requests_of_run[response.run_id].append(response)
        if is_side_question(response.job_id):
            self.replays.append(response)


class Beside(NamedTuple):
    """What else an import has under a response's message id."""

    is_only_request: bool
    runs_at_once: frozenset[str]
    """The runs of other responses without a request id at the same instant."""


def match(event: UsageEvent, name: Name, known: KnownResponses, beside: Beside) -> Match:
    """What the event is, given what the ledger knows under its message id."""
    if not name.has_request:
        return _without_request(event, name, known, beside.runs_at_once)
    if is_side_question(event.job_id):
        name = name._replace(event_id=_replayed(event, name, known))
        replays = []
    else:
        replays = _unclaimed_replays(event, known)
    strays = _unclaimed_strays(event, name, known) if beside.is_only_request else []
    inner = [stray for stray in strays if stray.occurred_at >= event.occurred_at]
    outer = [stray for stray in strays if stray.occurred_at < event.occurred_at]
    return Match(name.event_id, _reports([*replays, *inner]), _reports(outer))


def _reports(responses: Iterable[Known]) -> tuple[str, ...]:
    return tuple(id_ for response in responses for id_ in (response.event_id, *response.growth))


def _without_request(event: UsageEvent, name: Name, known: KnownResponses, others: frozenset[str]) -> Match:
    """A response that has no request id, though one may be in other copies."""
    of_instant = reused_id(known.message, event.occurred_at)
    at_once = known.plain_at.get(event.occurred_at)
    if at_once:
        found = _at_once(event, at_once, others)
        event_id = found.event_id if found else f"{known.message}@{event.run_id}"
        return Match(event_id, names_call=event_id in (known.message, of_instant))
    requests = [r for r in known.requests_of_run.get(event.run_id, ()) if r.model == event.model]
    if requests and len({response.call for response in requests}) == 1:
        return Match(requests[0].event_id)
    copies = known.plain_of_run.get(event.run_id)
    if copies:
        return Match(copies[0].event_id)
    return Match(of_instant if known.message in known.plain else name.event_id)


def _at_once(event: UsageEvent, known: list[Known], others: frozenset[str]) -> Known | None:
    """The response of the event's session at this instant, or the one that the event is a fork's copy of.

    A fork may have been written before the response was complete. If the import tells it from `others` at
    the instant, only equal counts show that.
    """
    for response in known:
        if response.run_id == event.run_id:
            return response
    elsewhere = [r for r in known if r.run_id not in others and r.model == event.model]
    equal = [response for response in elsewhere if response.tokens == event.tokens]
    grown = [] if others else [response for response in elsewhere if _grew(response, event)]
    return next(iter([*equal, *grown]), None)


def _grew(known: Known, event: UsageEvent) -> bool:
    """Whether one can have grown from the other. The event can't have begun with more than is known."""
    if _is_within(event.tokens, known.tokens):
        return True
    began_within = event.opening is None or _is_within(event.opening, known.tokens)
    return began_within and _is_within(known.tokens, event.tokens)


def _is_within(a: Tokens, b: Tokens) -> bool:
    return all(x <= y for x, y in zip(msgspec.structs.astuple(a), msgspec.structs.astuple(b), strict=True))


def _replayed(event: UsageEvent, name: Name, known: KnownResponses) -> str:
    """The event id of the response that a side question's event replays; its own if it is no replay."""
    own = known.requests.get(name.event_id)
    found = [r for r in known.requests.values() if r is not own and _is_replay(event, r)]
    originals = [response for response in found if not is_side_question(response.job_id)]
    if own:  # it may have been recorded before the original was
        claimed_by = [response for response in originals if response.call == own.call]
        return next(iter([*claimed_by, *originals, own])).event_id
    return next((response.event_id for response in [*originals, *found]), name.event_id)


def _unclaimed_replays(event: UsageEvent, known: KnownResponses) -> list[Known]:
    """Replays of the event that have been recorded before it, and not as those of another response."""
    replays = [response for response in known.replays if _is_replay(event, response)]
    if not replays:
        return []
    claimed = {r.call for r in known.requests.values() if not is_side_question(r.job_id)}
    return [response for response in replays if response.call not in claimed]


def _is_replay(a: UsageEvent | Known, b: Known) -> bool:
    """The same model and input. Either may have been written before the response was complete."""
    return a.model == b.model and _input(a.tokens) == _input(b.tokens)


def _input(tokens: Tokens) -> Tokens:
    return msgspec.structs.replace(tokens, output=0)


def _unclaimed_strays(event: UsageEvent, name: Name, known: KnownResponses) -> list[Known]:
    """Copies without a request id in the same session, unless they may be of another request."""
    strays = [r for r in known.plain_of_run.get(event.run_id, ()) if r.model == event.model]
    if not strays:
        return []
    requests = known.requests_of_run.get(event.run_id, ())
    if any(r.model == event.model and r.event_id != name.event_id for r in requests):
        return []
    claimed = {response.call for response in known.requests.values()}
    return [stray for stray in strays if stray.call is None or stray.call not in claimed]
