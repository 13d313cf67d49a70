"""What senders tell, checked and brought into the form that the ledger books.

One reader for every door: JSON, CSV and the agents' logs all become the same mapping of field
names (`events.FIELDS`) to plain values, and `read` makes a `UsageEvent` of it or says which field
is wrong. Names, ranges and defaults are those of the usage event's definition in README.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NoReturn

import msgspec

from billing import money
from billing.events import (
    DEDUCTION,
    EARLIEST,
    FIELDS,
    GRANT,
    ID_LENGTH,
    JOB,
    KINDS,
    LATEST_AHEAD,
    MAX_DOLLARS,
    MAX_TOKENS,
    NO_TOKENS,
    PURCHASE,
    REFUND,
    RUN_AND_JOB_FIELDS,
    STATUSES,
    TEXT_LENGTH,
    TOKEN_FIELDS,
    TRIGGER_LENGTH,
    EventError,
    Tokens,
    UsageEvent,
    shown,
)

_FIELD_SET = frozenset(FIELDS)

Get = Callable[[str], Any]


def read(raw: Mapping[str, Any], *, now: datetime, credits_per_dollar: int) -> UsageEvent:
    """Make a `UsageEvent` of a mapping of field names to strings, integers and decimals.

    None and a missing key both mean "not told". Raises `EventError` with the first wrong field.
    """
    if not _FIELD_SET.issuperset(raw):
        _refuse_unknown_field(raw)
    get = raw.get
    kind = get("kind")
    kind = DEDUCTION if kind is None else _one_of("kind", kind, KINDS)
    return _READERS[kind](kind, get, now + LATEST_AHEAD, credits_per_dollar)


def _read_usage(kind: str, get: Get, latest: datetime, credits_per_dollar: int) -> UsageEvent:
    """A deduction or refund: money spent, or given back, on a job of a run."""
    event_id = _id("eventId", get("eventId"))
    job_id = get("jobId")
    if job_id is None and kind == REFUND:
        raise EventError("jobId", "a refund must name the job whose spend it gives back")
    tokens = _tokens(get)
    stated = _stated_nanos(get, credits_per_dollar)
    if kind == REFUND:
        _refuse_tokens(kind, tokens)
        _require_cost(kind, stated)
    return UsageEvent(
        kind=kind,
        event_id=event_id,
        occurred_at=_required_instant(get, latest),
        job_id=event_id if job_id is None else _id("jobId", job_id),
        model=_text("model", get("model"), TEXT_LENGTH),
        tokens=tokens,
        stated_nanos=stated,
        **_told(get, latest),
    )


def _read_job(kind: str, get: Get, latest: datetime, credits_per_dollar: int) -> UsageEvent:
    """A `job` event: tells of a job and its run, books nothing."""
    _refuse_tokens(kind, _tokens(get))
    if _stated_nanos(get, credits_per_dollar):
        raise EventError(
            "credits" if get("credits") is not None else "costDollars", "a job event has no cost"
        )
    if _text("model", get("model"), TEXT_LENGTH):
        raise EventError("model", "a job event books nothing and can't have it")
    event_id = get("eventId")
    return UsageEvent(
        kind=kind,
        event_id="" if event_id is None else _id("eventId", event_id),
        occurred_at=_required_instant(get, latest),
        job_id=_id("jobId", get("jobId")),
        **_told(get, latest),
    )


def _read_credit(kind: str, get: Get, latest: datetime, credits_per_dollar: int) -> UsageEvent:
    """A purchase or grant: credits coming in, of no run or job."""
    for field in (*RUN_AND_JOB_FIELDS, "model", "reservationId"):
        if get(field) is not None:
            raise EventError(field, f"a {kind} belongs to no run or job and can't have it")
    _refuse_tokens(kind, _tokens(get))
    stated = _stated_nanos(get, credits_per_dollar)
    _require_cost(kind, stated)
    return UsageEvent(
        kind=kind,
        event_id=_id("eventId", get("eventId")),
        occurred_at=_required_instant(get, latest),
        stated_nanos=stated,
    )


_READERS = {
    DEDUCTION: _read_usage,
    REFUND: _read_usage,
    JOB: _read_job,
    PURCHASE: _read_credit,
    GRANT: _read_credit,
}


def _told(get: Get, latest: datetime) -> dict[str, Any]:
    """What the event tells of its run and job, and of what was reserved for it."""
    reservation_id = get("reservationId")
    return {
        "run_id": _id("runId", get("runId")),
        "trigger": _text("trigger", get("trigger"), TRIGGER_LENGTH),
        "run_status": _status("runStatus", get("runStatus")),
        "run_started_at": _instant("runStartedAt", get("runStartedAt"), latest),
        "run_finished_at": _instant("runFinishedAt", get("runFinishedAt"), latest),
        "agent_type": _agent_type(get("agentType")),
        "job_status": _status("jobStatus", get("jobStatus")),
        "job_started_at": _instant("jobStartedAt", get("jobStartedAt"), latest),
        "job_finished_at": _instant("jobFinishedAt", get("jobFinishedAt"), latest),
        "reservation_id": "" if reservation_id is None else _id("reservationId", reservation_id),
    }


def _refuse_unknown_field(raw: Mapping[str, Any]) -> NoReturn:
    name = next(name for name in raw if name not in _FIELD_SET)
    raise EventError(shown(name), unknown_field(name))


def unknown_field(name: object) -> str:
    """The reason for refusing a field that is not listed; names the nearest known one."""
    near = get_close_matches(str(name)[:TEXT_LENGTH], FIELDS, n=1, cutoff=0.6)
    return "unknown field" + (f", did you mean {near[0]}?" if near else "")


_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def _characters(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise EventError(field, f"must be text, not {shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise EventError(field, "is not valid Unicode text") from None
    return value


def _id(field: str, value: Any) -> str:
    if value is None:
        raise EventError(field, "is required")
    text = _characters(field, value)
    if not 1 <= len(text) <= ID_LENGTH:
        raise EventError(field, f"must have 1 to {ID_LENGTH} characters, this has {len(text)}")
    if not text.isprintable() and _CONTROL.search(text):
        raise EventError(field, "must not contain control characters")
    return text


def _text(field: str, value: Any, longest: int) -> str:
    if value is None or value == "":
        return ""
    text = _characters(field, value)
    if len(text) > longest:
        raise EventError(field, f"must have at most {longest} characters, this has {len(text)}")
    if not text.isprintable() and _CONTROL.search(text):
        raise EventError(field, "must not contain control characters")
    return text


def _agent_type(value: Any) -> str:
    """An agent's name is never refused for how it looks; only NUL can't be stored."""
    if value is None:
        return ""
    text = _characters("agentType", value)
    if "\0" in text:
        raise EventError("agentType", "must not contain NUL")
    return text


def _one_of(field: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise EventError(field, f"must be one of {', '.join(allowed)}, not {shown(value)}")
    return str(value)


def _status(field: str, value: Any) -> str:
    return "" if value is None else _one_of(field, value, STATUSES)


def _required_instant(get: Get, latest: datetime) -> datetime:
    instant = _instant("occurredAt", get("occurredAt"), latest)
    if instant is None:
        raise EventError("occurredAt", "is required")
    return instant


# ISO 8601 of dates and times, extended form, with the offset that Python's own reader makes optional.
_ISO = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(?P<offset>Z|z|[+-]\d\d(:?\d\d)?)?", re.ASCII
)


@lru_cache(maxsize=4096)
def _parse_instant(text: str) -> datetime:
    """UTC, cut to microseconds. Raises `ValueError` for what is no instant with an offset."""
    match = _ISO.fullmatch(text)
    if not match:
        raise ValueError("must be an ISO 8601 time such as 2026-01-31T12:00:00Z")
    if not match["offset"]:
        raise ValueError("needs an offset such as Z or +02:00")
    if match["offset"] not in ("Z", "z") and int(match["offset"].replace(":", "")[3:] or 0) > 59:
        raise ValueError("has no such offset")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is no such date or time") from None


def _instant(field: str, value: Any, latest: datetime) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        instant = value
    elif isinstance(value, str):
        try:
            instant = _parse_instant(value)
        except ValueError as error:
            raise EventError(field, f"{error}, not {shown(value)}") from None
    else:
        raise EventError(field, f"must be an ISO 8601 time in text, not {shown(value)}")
    if instant < EARLIEST:
        raise EventError(field, "must not be before 2000-01-01")
    if instant > latest:
        raise EventError(field, "must not be more than 24 hours in the future")
    return instant.astimezone(UTC)


def _tokens(get: Get) -> Tokens:
    counts = [_count(field, get(field)) for field in TOKEN_FIELDS]
    if not any(counts):
        return NO_TOKENS
    if counts[3] > counts[2]:
        raise EventError("cacheWrite1hTokens", "is a part of cacheWriteTokens and can't exceed it")
    return Tokens(*counts)


def _count(field: str, value: Any) -> int:
    if value is None:
        return 0
    if type(value) is not int:
        if not (
            isinstance(value, Decimal)
            and value.is_finite()
            and abs(value) <= MAX_TOKENS
            and value == int(value)
        ):
            raise EventError(field, f"must be a whole number, not {shown(value)}")
        value = int(value)
    count: int = value
    if not 0 <= count <= MAX_TOKENS:
        raise EventError(field, f"must be from 0 to 10¹², not {shown(count)}")
    return count


def _refuse_tokens(kind: str, tokens: Tokens) -> None:
    if tokens is not NO_TOKENS:
        field = next(f for f, n in zip(TOKEN_FIELDS, msgspec.structs.astuple(tokens), strict=True) if n)
        raise EventError(field, f"a {kind} has no tokens")


def _require_cost(kind: str, stated: int | None) -> None:
    if stated is None:
        raise EventError("costDollars", f"a {kind} must state its costDollars or credits")


def _stated_nanos(get: Get, credits_per_dollar: int) -> int | None:
    dollars, credits_ = get("costDollars"), get("credits")
    if dollars is not None:
        if credits_ is not None:
            raise EventError("credits", "state costDollars or credits, not both")
        return money.nanos_from_dollars(_amount("costDollars", dollars, MAX_DOLLARS))
    if credits_ is not None:
        amount = _amount("credits", credits_, MAX_DOLLARS * credits_per_dollar)
        return money.nanos_from_credits(amount, credits_per_dollar)
    return None


_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def _amount(field: str, value: Any, most: int) -> Decimal:
    amount = _decimal(field, value, most)
    if not (amount.is_finite() and 0 <= amount <= most):
        raise EventError(field, f"must be from 0 to {most:,}, not {shown(str(value))}")
    return amount


def _decimal(field: str, value: Any, most: int) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if type(value) is int and abs(value) > most:  # before Decimal sees its digits
        raise EventError(field, f"must be from 0 to {most:,}")
    if type(value) is int or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        try:
            return Decimal(value)
        except InvalidOperation:  # an exponent beyond what a Decimal can hold
            pass
    raise EventError(field, f"must be a decimal number, not {shown(value)}")
