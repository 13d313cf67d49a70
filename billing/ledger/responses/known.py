"""Responses that the ledger holds already, though an agent's log now reports them under another event id.

A response without a request id has the message id as its event id, or `<message id>@<instant>` if the ledger
has the message id for another response. The plain id belongs to the one that was recorded first, so that the
order of imports makes no difference to what is recorded.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from billing.db import bulk
from billing.events.usage_event import DEDUCTION, Rejection, Tokens, UsageEvent
from billing.ledger.calls.batch import Nested
from billing.ledger.lookup import GROWTH, lines, places
from billing.ledger.responses.matching import Beside, Known, KnownResponses, Match, Name, match, name_of
from billing.models import CallId, CallReport
from billing.sources.foreign_ids import reused_id
from products.models import Project


class Resolved(NamedTuple):
    events: Sequence[UsageEvent | Rejection]
    """Responses that the ledger holds are under the ids that they have there."""
    same: Sequence[Nested]
    """Pairs of reports of one response; it is booked on the outer one's job."""


def resolve(project: Project, events: Sequence[UsageEvent | Rejection]) -> Resolved:
    named = [(event, name_of(event)) for event in events]
    names = {name for _, name in named if name}
    if not names:
        return Resolved(events, ())
    whole = {e.event_id: e for e in events if isinstance(e, UsageEvent) and e.kind == DEDUCTION}
    known = _known(project, [(whole[name.event_id], name) for name in names if name.event_id in whole])
    beside = _Beside(names, whole)
    resolved: list[UsageEvent | Rejection] = []
    same: list[Nested] = []
    for event, name in named:
        if name is None or isinstance(event, Rejection) or name.message not in known:
            resolved.append(event)
            continue
        response = whole.get(name.event_id, event)
        found = match(response, name, known[name.message], beside.of(response, name))
        resolved.append(_under_its_id(event, name, found))
        same += [Nested(found.event_id, inner, is_copy=True) for inner in found.inner]
        same += [Nested(outer, found.event_id, is_copy=True) for outer in found.outer]
    return Resolved(resolved, sorted(set(same)))


class _Beside:
    """The responses of an import, to tell what each has beside it."""

    def __init__(self, names: Iterable[Name], whole: Mapping[str, UsageEvent]) -> None:
        self._requests: Counter[str] = Counter()
        self._runs: defaultdict[tuple[str, datetime], set[str]] = defaultdict(set)
        for name in names:
            if name.has_request:
                self._requests[name.message] += 1
            elif response := whole.get(name.event_id):
                self._runs[name.message, response.occurred_at].add(response.run_id)

    def of(self, event: UsageEvent, name: Name) -> Beside:
        runs = self._runs.get((name.message, event.occurred_at), set())
        return Beside(self._requests[name.message] == 1, frozenset(runs - {event.run_id}))


def _under_its_id(event: UsageEvent, name: Name, found: Match) -> UsageEvent:
    part = event.event_id.removeprefix(name.event_id)
    call_ids = (event.call_ids or (name.message,)) if found.names_call else ()
    return msgspec.structs.replace(event, event_id=found.event_id + part, call_ids=call_ids)


def _known(project: Project, named: Sequence[tuple[UsageEvent, Name]]) -> dict[str, KnownResponses]:
    """What the ledger holds under each message id."""
    found: defaultdict[str, dict[str, Known]] = defaultdict(dict)
    for message, response in _of_lines(project, named):
        found[message][response.event_id] = response
    if project.has_call_ids:  # a report that does not stand has no line
        for message, response in _of_reports(project, named):
            found[message][response.event_id] = response
    return {message: KnownResponses(message, _grown(responses)) for message, responses in found.items()}


def _of_lines(project: Project, named: Iterable[tuple[UsageEvent, Name]]) -> list[tuple[str, Known]]:
    """Responses without a request id. Lines that name no call are found by the ids that they may have."""
    message_of: dict[str, str] = {}
    for event, name in named:
        if not name.has_request:
            at_instant = reused_id(name.message, event.occurred_at)
            ids = (name.message, at_instant, f"{name.message}@{event.run_id}")
            message_of |= dict.fromkeys(ids, name.message)
    return [
        (
            message_of[line.event_id],
            Known(*(line.event_id, line.occurred_at, line.run_id, line.job_id), line.model, line.tokens),
        )
        for line in lines(project, sorted(message_of))
        if line.kind == DEDUCTION
    ]


_COLUMNS = (
    *("id", "event_id", "sender", "part", "call_pk", "occurred_at", "job_id", "model"),
    *("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens"),
)


def _of_reports(project: Project, named: Sequence[tuple[UsageEvent, Name]]) -> list[tuple[str, Known]]:
    """What the same sender has reported under the message ids."""
    messages = sorted({name.message for _, name in named})
    senders = {event.sender for event, _ in named}
    ids = CallId.objects.filter(project=project, call_id__among=messages).order_by("report_id")
    message_of = {pk: message for message, pk in ids.values_list("call_id", "report_id")}
    rows = bulk.find(CallReport, project.pk, ("id",), [(pk,) for pk in message_of], _COLUMNS)
    rows = [row for row in rows if row[2] in senders and not row[3]]
    names = places(project, {row[6] for row in rows})
    return [
        (message_of[pk], Known(event_id, at, *names[job], model, Tokens(*counts), call))
        for pk, event_id, _, _, call, at, job, model, *counts in rows
    ]


def _grown(responses: dict[str, Known]) -> list[Known]:
    """The responses, with the tokens that they have grown to."""
    for event_id in sorted(responses, key=lambda event_id: responses[event_id].tokens.total):
        growth = GROWTH.fullmatch(event_id)
        if growth and growth[1] in responses:
            grown = responses.pop(event_id)
            first = responses[growth[1]]
            responses[growth[1]] = first._replace(
                model=grown.model, tokens=grown.tokens, growth=(*first.growth, event_id)
            )
    return list(responses.values())
