"""Read instants as senders write them. Pure."""

import re
from datetime import UTC, datetime
from functools import lru_cache

# ISO 8601 date and time in the extended form. The offset is optional here, so that `_check` can ask for it.
_ISO = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(?P<offset>Z|z|[+-]\d\d(:?\d\d)?)?", re.ASCII
)

# The form that nearly all senders use, in UTC; matching it first halves the cost.
_USUAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)", re.ASCII)


@lru_cache(maxsize=4096)
def parse(text: str) -> datetime:
    """The instant in UTC, cut to microseconds. Raises `ValueError` if it is invalid or has no offset."""
    if not _USUAL.fullmatch(text):
        _check(text)
        text = text.upper()
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is not a valid date or time") from None


def _check(text: str) -> None:
    match = _ISO.fullmatch(text)
    if not match:
        raise ValueError("must be an ISO 8601 time such as 2026-01-31T12:00:00Z")
    if not match["offset"]:
        raise ValueError("needs an offset such as Z or +02:00")
    if match["offset"] not in ("Z", "z") and int(match["offset"].replace(":", "")[3:] or 0) > 59:
        raise ValueError("has an invalid offset")
