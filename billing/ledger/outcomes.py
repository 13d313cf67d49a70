"""What became of each event of a batch, by what the ledger holds under its id."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from billing.events.usage_event import JOB, Rejection, UsageEvent
from billing.ledger import lookup
from billing.ledger.calls import store
from products.models import Project

OutcomeStatus = Literal["recorded", "duplicate", "conflict", "rejected", "withheld"]


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The result for one event. `withheld`: valid, but another event made its atomic batch fail."""

    status: OutcomeStatus
    event_id: str = ""
    field: str = ""
    reason: str = ""
    unpriced_model: str | None = None
    """The model without a known price, if the event was recorded as unpriced."""
    recorded_as_other: str | None = None
    """The reported agent type, if it was recorded as `other` because the project has too many."""


def compare(project: Project, events: Sequence[UsageEvent | Rejection]) -> list[Outcome]:
    """Outcomes by what the ledger holds. A job event is a duplicate here until it is found to change one."""
    known = _recorded_content(project, events)
    first: dict[str, UsageEvent] = {}
    outcomes = []
    for event in events:
        if isinstance(event, Rejection):
            outcomes.append(_rejected(event))
        elif event.kind == JOB:
            outcomes.append(Outcome(status="duplicate", event_id=event.event_id))
        else:
            outcomes.append(_compared(event, known.get(event.event_id), first))
    return outcomes


def _rejected(event: Rejection) -> Outcome:
    return Outcome(status="rejected", event_id=event.event_id, field=event.field, reason=event.reason)


def withheld(outcome: Outcome) -> Outcome:
    if outcome.status in ("rejected", "conflict"):
        return outcome
    return Outcome(status="withheld", event_id=outcome.event_id)


def _compared(event: UsageEvent, known: tuple[object, ...] | None, first: dict[str, UsageEvent]) -> Outcome:
    """Compare an event with what its id already means: `known` in the ledger, or `first` in this batch."""
    if known is None:
        if event.event_id not in first:
            first[event.event_id] = event
            return Outcome(status="recorded", event_id=event.event_id)
        known = first[event.event_id].content
    content = event.content
    if known == content:
        return Outcome(status="duplicate", event_id=event.event_id)
    return Outcome(
        status="conflict",
        event_id=event.event_id,
        reason=f"this id is already recorded with a different {_difference(known, content)}",
    )


_CONTENT_NAMES = (
    *("kind", "occurredAt", "runId", "jobId", "model"),
    *("inputTokens", "cacheReadTokens", "cacheWriteTokens", "cacheWrite1hTokens", "outputTokens", "cost"),
)


def _difference(known: tuple[object, ...], sent: tuple[object, ...]) -> str:
    names = [name for name, a, b in zip(_CONTENT_NAMES, known, sent, strict=True) if a != b]
    return ", ".join(names)


def _recorded_content(
    project: Project, events: Sequence[UsageEvent | Rejection]
) -> dict[str, tuple[object, ...]]:
    """The content that the ledger holds under the events' ids.

    That of a call's report is what was sent; its transaction may be on another report's job.
    """
    ids = {event.event_id for event in events if isinstance(event, UsageEvent) and event.kind != JOB}
    known = {line.event_id: line for line in lookup.lines(project, ids)}
    if project.has_call_ids:
        known |= {line.event_id: line for line in store.as_lines(project, ids)}
    return {event_id: line.content for event_id, line in known.items()}


def count(outcomes: Iterable[Outcome]) -> Counter[str]:
    """The number of events by status."""
    return Counter(outcome.status for outcome in outcomes)
