"""Record responses whose token counts grow.

An agent's log repeats a response while its counts grow, and an import may come in between. The ledger is
append-only, so what comes later needs an id of its own: `<event id>+<new total>`, at the same instant and on
the same job. A response that names its call is reported once more, with all its tokens, and the ledger books
the larger report, even if one of the counts has shrunk. For any other, only the difference to what is
recorded already is a deduction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from django.db import transaction

from billing.events.usage_event import DEDUCTION, Rejection, Tokens, UsageEvent, combine
from billing.ledger import recording
from billing.ledger.calls import store
from billing.ledger.lookup import Line, growth_of, lines
from billing.ledger.outcomes import Outcome
from billing.ledger.recording import Then
from billing.ledger.responses import known
from products.models import Project


@dataclass
class Recorded:
    """What the ledger holds of one response: the first record, and all tokens since."""

    first: Line
    tokens: Tokens
    total: int


def record(
    project: Project,
    events: Sequence[UsageEvent | Rejection],
    *,
    atomic: bool = False,
    then: Then | None = None,
) -> list[Outcome]:
    """`ledger.record` for deductions whose counts are running totals; each response occurs at most once."""
    with transaction.atomic():
        project = recording.lock(project)
        events, same = known.resolve(project, events)
        recorded = _recorded(project, events)
        to_record = [_to_record(event, recorded) for event in events]
        sent = [event for parts in to_record for event in parts]
        parts_outcomes = iter(recording.record(project, sent, atomic=atomic, nested=same))
        outcomes = [
            _outcome(event, [next(parts_outcomes) for _ in parts])
            for event, parts in zip(events, to_record, strict=True)
        ]
        if then:
            then(outcomes)
        return outcomes


def _outcome(event: UsageEvent | Rejection, outcomes: list[Outcome]) -> Outcome:
    """The last part's outcome; a response without any is recorded already."""
    return outcomes[-1] if outcomes else Outcome(status="duplicate", event_id=event.event_id)


def _to_record(event: UsageEvent | Rejection, recorded: dict[str, Recorded]) -> list[UsageEvent | Rejection]:
    """The events to record: what the ledger does not hold of the response, and which call it is of."""
    known = recorded.get(event.event_id)
    if isinstance(event, Rejection) or event.kind != DEDUCTION or known is None:
        return [event]
    has_grown = event.tokens.total > known.total
    if not event.call_ids:
        return [_difference(event, known)] if has_grown else []
    first = msgspec.structs.replace(
        event,
        occurred_at=known.first.occurred_at,
        run_id=known.first.run_id,
        job_id=known.first.job_id,
        model=known.first.model,
        tokens=known.first.tokens,
        stated_nanos=known.first.stated_nanos,
    )
    if not has_grown:
        return [first]
    grown = msgspec.structs.replace(
        first,
        event_id=f"{event.event_id}+{event.tokens.total}",
        earlier_ids=(event.event_id,),
        model=event.model,
        tokens=event.tokens,
        stated_nanos=event.stated_nanos,
    )
    return [first, grown]


def _difference(event: UsageEvent, known: Recorded) -> UsageEvent:
    return UsageEvent(
        kind=DEDUCTION,
        event_id=f"{event.event_id}+{event.tokens.total}",
        occurred_at=known.first.occurred_at,
        run_id=known.first.run_id,
        job_id=known.first.job_id,
        model=event.model,
        tokens=combine(event.tokens, known.tokens, -1),
        already_recorded=known.tokens,
    )


def _recorded(project: Project, events: Sequence[UsageEvent | Rejection]) -> dict[str, Recorded]:
    """What the ledger holds of each response, by event id."""
    wanted = {e.event_id: e for e in events if isinstance(e, UsageEvent) and e.kind == DEDUCTION}
    if not wanted:
        return {}
    found = {line.event_id: line for line in lines(project, sorted(wanted)) if line.kind == DEDUCTION}
    if project.has_call_ids:
        found |= {line.event_id: line for line in store.as_lines(project, wanted)}
    recorded = {event_id: Recorded(line, line.tokens, line.tokens.total) for event_id, line in found.items()}
    grown = [event_id for event_id, known in recorded.items() if known.total < wanted[event_id].tokens.total]
    for growth in growth_of(project, grown):
        known = recorded[growth.of]
        known.tokens = growth.tokens if growth.is_report else combine(known.tokens, growth.tokens, 1)
        known.total = max(known.total, growth.total)
    return recorded
