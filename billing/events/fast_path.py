"""A fast reader for what nearly every event is: a deduction with plain values.

msgspec's compiled code checks types, lengths and ranges. Unusual and invalid events are left to
`parsing.read_fields`, which knows every rule. It would read plain deductions to the same result, but takes
twice as long.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from billing.events import fields, price_factors
from billing.events.price_factors import FACTOR_LENGTH, NO_FACTORS, PriceFactors
from billing.events.usage_event import (
    CALL_ID_LENGTH,
    DEDUCTION,
    ID_LENGTH,
    MAX_CALL_IDS,
    MAX_TOKENS,
    NO_TOKENS,
    TEXT_LENGTH,
    TRIGGER_LENGTH,
    EventError,
    Tokens,
    UsageEvent,
)

Id = Annotated[str, Meta(min_length=1, max_length=ID_LENGTH)]
StatusName = Literal["running", "succeeded", "cancelled", "failed"]
"""The values of `Status`; msgspec reads a member of an enumeration more slowly."""
CallId = Annotated[str, Meta(min_length=1, max_length=CALL_ID_LENGTH)]
Count = Annotated[int, Meta(ge=0, le=MAX_TOKENS)]


class _PlainDeduction(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The fields under the names that senders use."""

    eventId: Id
    occurredAt: Any
    runId: Id
    kind: Literal["deduction"] | None = None
    trigger: Annotated[str, Meta(max_length=TRIGGER_LENGTH)] | None = None
    runStatus: StatusName | None = None
    runStartedAt: Any = None
    runFinishedAt: Any = None
    jobId: Id | None = None
    agentType: str | None = None
    jobStatus: StatusName | None = None
    jobStartedAt: Any = None
    jobFinishedAt: Any = None
    model: Annotated[str, Meta(max_length=TEXT_LENGTH)] | None = None
    inputTokens: Count = 0
    cacheReadTokens: Count = 0
    cacheWriteTokens: Count = 0
    cacheWrite1hTokens: Count = 0
    outputTokens: Count = 0
    speed: Annotated[str, Meta(max_length=FACTOR_LENGTH)] | None = None
    serviceTier: Annotated[str, Meta(max_length=FACTOR_LENGTH)] | None = None
    costDollars: Any = None
    credits: Any = None
    reservationId: Id | None = None
    callIds: Annotated[list[CallId], Meta(max_length=MAX_CALL_IDS)] | None = None


def read(raw: Mapping[str, Any], latest: datetime, credits_per_dollar: int) -> UsageEvent | None:
    """The event; None if it is not a plain deduction, valid or not."""
    try:
        plain = msgspec.convert(raw, _PlainDeduction)
        return _event(plain, latest, credits_per_dollar) if _is_printable(plain) else None
    except (msgspec.ValidationError, EventError):
        return None


def _is_printable(plain: _PlainDeduction) -> bool:
    """Check all texts in one go. Texts that fail may still be valid."""
    ids = f"{plain.eventId}{plain.runId}{plain.jobId}{plain.reservationId}"
    if plain.callIds:
        ids += "".join(plain.callIds)
    texts = f"{plain.trigger}{plain.agentType}{plain.model}{plain.speed}{plain.serviceTier}"
    return f"{ids}{texts}".isprintable()


def _event(plain: _PlainDeduction, latest: datetime, credits_per_dollar: int) -> UsageEvent | None:
    occurred_at = fields.instant("occurredAt", plain.occurredAt, latest)
    if occurred_at is None or plain.cacheWrite1hTokens > plain.cacheWriteTokens:
        return None
    return UsageEvent(
        kind=DEDUCTION,
        occurred_at=occurred_at,
        event_id=plain.eventId,
        run_id=plain.runId,
        trigger=plain.trigger or "",
        run_status=plain.runStatus or "",
        run_started_at=fields.instant("runStartedAt", plain.runStartedAt, latest),
        run_finished_at=fields.instant("runFinishedAt", plain.runFinishedAt, latest),
        job_id=plain.jobId or plain.eventId,
        agent_type=plain.agentType or "",
        job_status=plain.jobStatus or "",
        job_started_at=fields.instant("jobStartedAt", plain.jobStartedAt, latest),
        job_finished_at=fields.instant("jobFinishedAt", plain.jobFinishedAt, latest),
        model=plain.model or "",
        tokens=_tokens(plain),
        factors=_factors(plain),
        stated_nanos=fields.stated_nanos(plain.costDollars, plain.credits, credits_per_dollar),
        reservation_id=plain.reservationId or "",
        call_ids=tuple(dict.fromkeys(plain.callIds)) if plain.callIds else (),
    )


def _factors(plain: _PlainDeduction) -> PriceFactors:
    if not plain.speed and not plain.serviceTier:
        return NO_FACTORS
    return price_factors.normal(speed=plain.speed or "", service_tier=plain.serviceTier or "")


def _tokens(plain: _PlainDeduction) -> Tokens:
    tokens = Tokens(
        plain.inputTokens,
        plain.cacheReadTokens,
        plain.cacheWriteTokens,
        plain.cacheWrite1hTokens,
        plain.outputTokens,
    )
    return tokens if tokens.total else NO_TOKENS
