"""Record responses whose token counts grow: only the difference to what is recorded already.

An agent's log repeats a response while its counts grow, and an import may come in between. The ledger is
append-only, so the difference becomes a deduction of its own with the id `<event id>+<new total>`, at the
same instant and on the same job.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from django.db import transaction
from django.db.models import Q

from billing.events.usage_event import DEDUCTION, Rejection, Tokens, UsageEvent
from billing.ledger import recording, reused_ids
from billing.ledger.lookup import lines
from billing.ledger.recording import Outcome
from billing.models import CreditTransaction
from products.models import Project

_DIFFERENCE = re.compile(r"(.+)\+\d+", re.ASCII | re.DOTALL)


@dataclass
class Recorded:
    """What the ledger holds of one response."""

    occurred_at: datetime
    run_id: str
    job_id: str
    tokens: Tokens


def record(
    project: Project, events: Sequence[UsageEvent | Rejection], *, atomic: bool = False
) -> list[Outcome]:
    """`ledger.record` for deductions whose counts are running totals; each response occurs at most once."""
    with transaction.atomic():
        recording.lock(project)
        events = reused_ids.resolve(project, events)
        recorded = _recorded(project, events)
        missing = [_missing(event, recorded) for event in events]
        outcomes = iter(recording.record(project, [event for event in missing if event], atomic=atomic))
        return [
            next(outcomes) if new else Outcome(status="duplicate", event_id=event.event_id)
            for event, new in zip(events, missing, strict=True)
        ]


def _missing(event: UsageEvent | Rejection, recorded: dict[str, Recorded]) -> UsageEvent | Rejection | None:
    """The event to record; None if the ledger already holds as much of the response."""
    known = recorded.get(event.event_id)
    if isinstance(event, Rejection) or event.kind != DEDUCTION or known is None:
        return event
    if event.tokens.total <= known.tokens.total:
        return None
    return UsageEvent(
        kind=DEDUCTION,
        event_id=f"{event.event_id}+{event.tokens.total}",
        occurred_at=known.occurred_at,
        run_id=known.run_id,
        job_id=known.job_id,
        model=event.model,
        tokens=_combine(event.tokens, known.tokens, -1),
        already_recorded=known.tokens,
    )


def _combine(a: Tokens, b: Tokens, sign: int) -> Tokens:
    """a ± b, but no count below zero: a later copy may have a smaller count of one kind."""
    counts = [
        max(x + sign * y, 0)
        for x, y in zip(msgspec.structs.astuple(a), msgspec.structs.astuple(b), strict=True)
    ]
    counts[3] = min(counts[3], counts[2])  # 1-hour writes remain a part of the writes
    return Tokens(*counts)


def _recorded(project: Project, events: Sequence[UsageEvent | Rejection]) -> dict[str, Recorded]:
    """What the ledger holds of each response, by event id: the first record and the differences since."""
    wanted = {e.event_id: e for e in events if isinstance(e, UsageEvent) and e.kind == DEDUCTION}
    if not wanted:
        return {}
    recorded = {
        line.event_id: Recorded(line.occurred_at, line.run_id, line.job_id, line.tokens)
        for line in lines(project, sorted(wanted))
        if line.kind == DEDUCTION
    }
    grown = [
        event_id for event_id, known in recorded.items() if known.tokens.total < wanted[event_id].tokens.total
    ]
    for start in range(0, len(grown), 100):
        responses = grown[start : start + 100]
        for event_id, tokens in _differences_of(project, responses):
            base = _DIFFERENCE.fullmatch(event_id)
            if base and base[1] in responses:  # not a part's, such as <event id>+advisor1+<new total>
                recorded[base[1]].tokens = _combine(recorded[base[1]].tokens, tokens, 1)
    return recorded


def _differences_of(project: Project, event_ids: list[str]) -> Iterator[tuple[str, Tokens]]:
    """Transactions with one of these ids followed by a plus sign: one range of the index per id."""
    condition = Q()
    for event_id in event_ids:
        condition |= Q(event_id__gt=f"{event_id}+", event_id__lt=f"{event_id},")
    rows = CreditTransaction.objects.filter(condition, project=project, kind=DEDUCTION).values_list(
        *("event_id", "input_tokens", "cache_read_tokens"),
        *("cache_write_tokens", "cache_write_1h_tokens", "output_tokens"),
    )
    for event_id, *counts in rows:
        yield event_id, Tokens(*counts)
