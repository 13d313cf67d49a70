"""Check and normalize single fields of a usage event. Raises `EventError` with a reason for the sender."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from billing import money
from billing.events import price_factors, timestamps
from billing.events.price_factors import FACTOR_LENGTH, NO_FACTORS, PriceFactors
from billing.events.usage_event import (
    CALL_ID_LENGTH,
    EARLIEST,
    FACTOR_FIELDS,
    ID_LENGTH,
    MAX_CALL_IDS,
    MAX_DOLLARS,
    MAX_TOKENS,
    NO_TOKENS,
    STATUSES,
    TOKEN_FIELDS,
    EventError,
    Tokens,
)
from products.printable import printable

Get = Callable[[str], Any]

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def _characters(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise EventError(field, f"must be text, not {printable(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise EventError(field, "is not valid Unicode text") from None
    return value


def identifier(field: str, value: Any, longest: int = ID_LENGTH) -> str:
    if value is None:
        raise EventError(field, "is required")
    characters = _characters(field, value)
    if not 1 <= len(characters) <= longest:
        raise EventError(field, f"must have 1 to {longest} characters, this has {len(characters)}")
    return _without_controls(field, characters)


def call_ids(value: Any) -> tuple[str, ...]:
    """The ids of a model call, each once, in the order in which they are given."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise EventError("callIds", f"must be a list of ids, not {printable(value)}")
    if len(value) > MAX_CALL_IDS:
        raise EventError("callIds", f"must have at most {MAX_CALL_IDS} ids, this has {len(value)}")
    ids = [identifier(f"callIds[{position}]", item, CALL_ID_LENGTH) for position, item in enumerate(value)]
    return tuple(dict.fromkeys(ids))


def text(field: str, value: Any, longest: int) -> str:
    if value is None or value == "":
        return ""
    characters = _characters(field, value)
    if len(characters) > longest:
        raise EventError(field, f"must have at most {longest} characters, this has {len(characters)}")
    return _without_controls(field, characters)


def _without_controls(field: str, characters: str) -> str:
    if not characters.isprintable() and _CONTROL.search(characters):
        raise EventError(field, "must not contain control characters")
    return characters


def agent_type(value: Any) -> str:
    """Accept any text without NUL, the one character that databases can't store."""
    if value is None:
        return ""
    characters = _characters("agentType", value)
    if "\0" in characters:
        raise EventError("agentType", "must not contain NUL")
    return characters


def one_of(field: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise EventError(field, f"must be one of {', '.join(allowed)}, not {printable(value)}")
    return str(value)


def status(field: str, value: Any) -> str:
    return "" if value is None else one_of(field, value, STATUSES)


def required_instant(get: Get, latest: datetime) -> datetime:
    occurred_at = instant("occurredAt", get("occurredAt"), latest)
    if occurred_at is None:
        raise EventError("occurredAt", "is required")
    return occurred_at


def instant(field: str, value: Any, latest: datetime) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        at = value
    elif isinstance(value, str):
        try:
            at = timestamps.parse(value)
        except ValueError as error:
            raise EventError(field, f"{error}, not {printable(value)}") from None
    else:
        raise EventError(field, f"must be an ISO 8601 time as text, not {printable(value)}")
    if at < EARLIEST:
        raise EventError(field, "must not be before 2000-01-01")
    if at > latest:
        raise EventError(field, "must not be more than 24 hours in the future")
    return at.astimezone(UTC)


def tokens(get: Get) -> Tokens:
    counts = [_count(field, get(field)) for field in TOKEN_FIELDS]
    if not any(counts):
        return NO_TOKENS
    if counts[3] > counts[2]:
        raise EventError("cacheWrite1hTokens", "is part of cacheWriteTokens and can't exceed it")
    return Tokens(*counts)


def factors(get: Get, tokens: Tokens) -> PriceFactors:
    """The price factors in normal form."""
    if all(get(field) is None for field in FACTOR_FIELDS):
        return NO_FACTORS
    reported = price_factors.normal(
        speed=text("speed", get("speed"), FACTOR_LENGTH),
        service_tier=text("serviceTier", get("serviceTier"), FACTOR_LENGTH),
        region=text("region", get("region"), FACTOR_LENGTH),
        batch=_flag("batch", get("batch")),
        web_searches=_count("webSearches", get("webSearches")),
        web_fetches=_count("webFetches", get("webFetches")),
        audio_input_tokens=_count("audioInputTokens", get("audioInputTokens")),
        audio_output_tokens=_count("audioOutputTokens", get("audioOutputTokens")),
    )
    if reported.audio_input_tokens > tokens.input:
        raise EventError("audioInputTokens", "is part of inputTokens and can't exceed it")
    if reported.audio_output_tokens > tokens.output:
        raise EventError("audioOutputTokens", "is part of outputTokens and can't exceed it")
    return reported


def _flag(field: str, value: Any) -> bool:
    """A truth value; CSV and forms have it as text."""
    if value is None or value == "":
        return False
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise EventError(field, f"must be true or false, not {printable(value)}")


def _count(field: str, value: Any) -> int:
    if value is None:
        return 0
    if type(value) is not int:
        if not (
            isinstance(value, Decimal)
            and value.is_finite()
            and -MAX_TOKENS <= value <= MAX_TOKENS  # `abs` of a number with a huge exponent overflows
            and value == int(value)
        ):
            raise EventError(field, f"must be a whole number, not {printable(value)}")
        value = int(value)
    count: int = value
    if not 0 <= count <= MAX_TOKENS:
        raise EventError(field, f"must be from 0 to 10¹², not {printable(count)}")
    return count


def stated_nanos(dollars: Any, credits_: Any, credits_per_dollar: int) -> int | None:
    if dollars is not None:
        if credits_ is not None:
            raise EventError("credits", "send costDollars or credits, not both")
        return money.nanos_from_dollars(_amount("costDollars", dollars, MAX_DOLLARS))
    if credits_ is not None:
        amount = _amount("credits", credits_, MAX_DOLLARS * credits_per_dollar)
        return money.nanos_from_credits(amount, credits_per_dollar)
    return None


_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def _amount(field: str, value: Any, most: int) -> Decimal:
    amount = _decimal(field, value, most)
    if not (amount.is_finite() and 0 <= amount <= most):
        raise EventError(field, f"must be from 0 to {most:,}, not {printable(str(value))}")
    return amount


def _decimal(field: str, value: Any, most: int) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if type(value) is int and abs(value) > most:  # before it becomes a Decimal of that many digits
        raise EventError(field, f"must be from 0 to {most:,}")
    if type(value) is int or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        try:
            return Decimal(value)
        except InvalidOperation:  # an exponent that no Decimal can hold
            pass
    raise EventError(field, f"must be a decimal number, not {printable(value)}")
