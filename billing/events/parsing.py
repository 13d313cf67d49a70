"""Check usage events and bring them into the form that the ledger records. Pure.

Every endpoint and file format comes through here: JSON, CSV and the agents' logs all become a mapping of
field names (`usage_event.FIELDS`) to plain values, and `read` turns that into a `UsageEvent` or says which
field is wrong. README defines the names, ranges and defaults.
"""

from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any, NoReturn

import msgspec

from billing.events import fast_path, fields
from billing.events.fields import Get
from billing.events.usage_event import (
    DEDUCTION,
    FACTOR_FIELDS,
    FIELDS,
    GRANT,
    JOB,
    KINDS,
    LATEST_AHEAD,
    NO_TOKENS,
    PURCHASE,
    REFUND,
    RUN_AND_JOB_FIELDS,
    TEXT_LENGTH,
    TOKEN_FIELDS,
    TRIGGER_LENGTH,
    EventError,
    Tokens,
    UsageEvent,
)
from products.printable import printable

_FIELD_SET = frozenset(FIELDS)


def read(raw: Mapping[str, Any], *, now: datetime, credits_per_dollar: int) -> UsageEvent:
    """Make a `UsageEvent` from a mapping of field names to strings, integers and decimals.

    None and a missing key both mean "not reported". Raises `EventError` for the first invalid field.
    """
    latest = now + LATEST_AHEAD
    return fast_path.read(raw, latest, credits_per_dollar) or read_fields(raw, latest, credits_per_dollar)


def read_fields(raw: Mapping[str, Any], latest: datetime, credits_per_dollar: int) -> UsageEvent:
    """`read` field by field: checks every rule and reports the one that is broken."""
    if not _FIELD_SET.issuperset(raw):
        _refuse_unknown_field(raw)
    get = raw.get
    kind = get("kind")
    kind = DEDUCTION if kind is None else fields.one_of("kind", kind, KINDS)
    return _READERS[kind](kind, get, latest, credits_per_dollar)


def _read_usage(kind: str, get: Get, latest: datetime, credits_per_dollar: int) -> UsageEvent:
    """A deduction or refund: money spent on a job of a run, or given back."""
    event_id = fields.identifier("eventId", get("eventId"))
    job_id = get("jobId")
    if job_id is None and kind == REFUND:
        raise EventError("jobId", "a refund must name the job that it gives money back for")
    tokens = fields.tokens(get)
    stated = _stated_nanos(get, credits_per_dollar)
    call_ids = fields.call_ids(get("callIds"))
    if kind == REFUND:
        _refuse_tokens(kind, tokens)
        _require_cost(kind, stated)
        _refuse_call(kind, get)
    return UsageEvent(
        kind=kind,
        event_id=event_id,
        occurred_at=fields.required_instant(get, latest),
        job_id=event_id if job_id is None else fields.identifier("jobId", job_id),
        model=fields.text("model", get("model"), TEXT_LENGTH),
        tokens=tokens,
        factors=fields.factors(get, tokens),
        stated_nanos=stated,
        call_ids=call_ids,
        **_report(get, latest),
    )


def _read_job(kind: str, get: Get, latest: datetime, credits_per_dollar: int) -> UsageEvent:
    """A `job` event: reports on a job and its run, and records no transaction."""
    _refuse_tokens(kind, fields.tokens(get))
    if _stated_nanos(get, credits_per_dollar):
        raise EventError(
            "credits" if get("credits") is not None else "costDollars", "a job event can't have a cost"
        )
    if fields.text("model", get("model"), TEXT_LENGTH):
        raise EventError("model", "a job event records no usage and can't have a model")
    _refuse_call(kind, get)
    event_id = get("eventId")
    return UsageEvent(
        kind=kind,
        event_id="" if event_id is None else fields.identifier("eventId", event_id),
        occurred_at=fields.required_instant(get, latest),
        job_id=fields.identifier("jobId", get("jobId")),
        **_report(get, latest),
    )


def _read_credit(kind: str, get: Get, latest: datetime, credits_per_dollar: int) -> UsageEvent:
    """A purchase or grant: incoming credits, without a run or job."""
    for field in (*RUN_AND_JOB_FIELDS, "model", "reservationId"):
        if get(field) is not None:
            raise EventError(field, f"a {kind} has no run or job and can't have this field")
    _refuse_tokens(kind, fields.tokens(get))
    _refuse_call(kind, get)
    stated = _stated_nanos(get, credits_per_dollar)
    _require_cost(kind, stated)
    return UsageEvent(
        kind=kind,
        event_id=fields.identifier("eventId", get("eventId")),
        occurred_at=fields.required_instant(get, latest),
        stated_nanos=stated,
    )


_READERS = {
    DEDUCTION: _read_usage,
    REFUND: _read_usage,
    JOB: _read_job,
    PURCHASE: _read_credit,
    GRANT: _read_credit,
}


def _report(get: Get, latest: datetime) -> dict[str, Any]:
    """What the event reports on its run and job, and the reservation that it ends."""
    reservation = get("reservationId")
    return {
        "run_id": fields.identifier("runId", get("runId")),
        "trigger": fields.text("trigger", get("trigger"), TRIGGER_LENGTH),
        "run_status": fields.status("runStatus", get("runStatus")),
        "run_started_at": fields.instant("runStartedAt", get("runStartedAt"), latest),
        "run_finished_at": fields.instant("runFinishedAt", get("runFinishedAt"), latest),
        "agent_type": fields.agent_type(get("agentType")),
        "job_status": fields.status("jobStatus", get("jobStatus")),
        "job_started_at": fields.instant("jobStartedAt", get("jobStartedAt"), latest),
        "job_finished_at": fields.instant("jobFinishedAt", get("jobFinishedAt"), latest),
        "reservation_id": "" if reservation is None else fields.identifier("reservationId", reservation),
    }


def _stated_nanos(get: Get, credits_per_dollar: int) -> int | None:
    return fields.stated_nanos(get("costDollars"), get("credits"), credits_per_dollar)


def _refuse_unknown_field(raw: Mapping[str, Any]) -> NoReturn:
    name = next(name for name in raw if name not in _FIELD_SET)
    raise EventError(printable(name), unknown_field(name))


def unknown_field(name: object) -> str:
    """The reason for rejecting an unknown field; suggests the known field with the nearest name."""
    near = get_close_matches(str(name)[:TEXT_LENGTH], FIELDS, n=1, cutoff=0.6)
    return "unknown field" + (f", did you mean {near[0]}?" if near else "")


def _refuse_tokens(kind: str, tokens: Tokens) -> None:
    if tokens is not NO_TOKENS:
        field = next(f for f, n in zip(TOKEN_FIELDS, msgspec.structs.astuple(tokens), strict=True) if n)
        raise EventError(field, f"a {kind} can't have tokens")


def _refuse_call(kind: str, get: Get) -> None:
    """Refuse what only a model call has."""
    if get("callIds"):
        raise EventError("callIds", f"a {kind} is not a model call and can't have call ids")
    for field in FACTOR_FIELDS:
        if get(field):
            raise EventError(field, f"a {kind} is not a model call and can't have this field")


def _require_cost(kind: str, stated: int | None) -> None:
    if stated is None:
        raise EventError("costDollars", f"a {kind} needs costDollars or credits")
