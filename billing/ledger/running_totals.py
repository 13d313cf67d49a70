"""Responses whose log has grown since they were booked: the difference is booked, never the whole again.

An agent's log writes a response again and again while its counts grow, and an import may come in
between. The ledger only appends, so what is missing of a response comes as a deduction of its own,
`<event id>+<new total>`, at the same instant and job.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from django.db import transaction
from django.db.models import Q

from billing.events.usage_event import DEDUCTION, Rejection, Tokens, UsageEvent
from billing.ledger import recording
from billing.ledger.lookup import lines
from billing.ledger.recording import Outcome
from billing.models import CreditTransaction
from products.models import Project

_DIFFERENCE = re.compile(r"(.+)\+\d+", re.ASCII | re.DOTALL)


@dataclass
class Booked:
    """What the ledger holds of one response."""

    occurred_at: datetime
    run_id: str
    job_id: str
    tokens: Tokens


def record(
    project: Project, events: Sequence[UsageEvent | Rejection], *, atomic: bool = False
) -> list[Outcome]:
    """`ledger.record` for deductions that tell running totals of their responses, each response once."""
    with transaction.atomic():
        recording.lock(project)
        booked = _booked(project, events)
        settled = [_settle(event, booked) for event in events]
        outcomes = iter(recording.record(project, [event for event in settled if event], atomic=atomic))
        return [
            next(outcomes) if after else Outcome(status="duplicate", event_id=before.event_id)
            for before, after in zip(events, settled, strict=True)
        ]


def _settle(event: UsageEvent | Rejection, booked: dict[str, Booked]) -> UsageEvent | Rejection | None:
    """The event as it is to be booked; None where the ledger holds as much of the response already."""
    known = booked.get(event.event_id)
    if isinstance(event, Rejection) or event.kind != DEDUCTION or known is None:
        return event
    if event.tokens.total <= known.tokens.total:
        return None
    missing = _combine(event.tokens, known.tokens, -1)
    return UsageEvent(
        kind=DEDUCTION,
        event_id=f"{event.event_id}+{event.tokens.total}",
        occurred_at=known.occurred_at,
        run_id=known.run_id,
        job_id=known.job_id,
        model=event.model,
        tokens=missing,
        already_recorded=known.tokens,
    )


def _combine(a: Tokens, b: Tokens, sign: int) -> Tokens:
    """a ± b, no count below zero (copies of a response need not grow in every count)."""
    counts = [
        max(x + sign * y, 0)
        for x, y in zip(msgspec.structs.astuple(a), msgspec.structs.astuple(b), strict=True)
    ]
    counts[3] = min(counts[3], counts[2])  # the 1-hour writes stay a part of the writes
    return Tokens(*counts)


def _booked(project: Project, events: Sequence[UsageEvent | Rejection]) -> dict[str, Booked]:
    """What the ledger holds of each response by its event id, with the differences booked since."""
    wanted = {e.event_id: e for e in events if isinstance(e, UsageEvent) and e.kind == DEDUCTION}
    if not wanted:
        return {}
    booked = {
        line.event_id: Booked(line.occurred_at, line.run_id, line.job_id, line.tokens)
        for line in lines(project, sorted(wanted))
        if line.kind == DEDUCTION
    }
    grown = [
        event_id for event_id, known in booked.items() if known.tokens.total < wanted[event_id].tokens.total
    ]
    for start in range(0, len(grown), 100):
        for event_id, tokens in _differences_of(project, grown[start : start + 100]):
            base = _DIFFERENCE.fullmatch(event_id)
            if base and base[1] in booked:
                booked[base[1]].tokens = _combine(booked[base[1]].tokens, tokens, 1)
    return booked


def _differences_of(project: Project, event_ids: list[str]) -> Iterator[tuple[str, Tokens]]:
    """Lines whose ids continue one of these with a plus sign: a range of the index by code point each."""
    condition = Q()
    for event_id in event_ids:
        condition |= Q(event_id__gt=f"{event_id}+", event_id__lt=f"{event_id},")
    rows = CreditTransaction.objects.filter(condition, project=project, kind=DEDUCTION).values_list(
        *("event_id", "input_tokens", "cache_read_tokens"),
        *("cache_write_tokens", "cache_write_1h_tokens", "output_tokens"),
    )
    for event_id, *counts in rows:
        yield event_id, Tokens(*counts)
