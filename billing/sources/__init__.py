"""Usage formats, one module each: bytes in, usage events out, no database.

`parse(files, context)` of each module yields an `Item` for everything that it found: an event, a
rejection (what was meant as an event and is none), or a skipped line (logs of agents hold more
than usage, and break off).
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Protocol

import msgspec

from billing.events.usage_event import Rejection, UsageEvent


class Skipped(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """A line of an agent's log that can't be read; no event is known to be lost by it."""

    reason: str


class Item(msgspec.Struct, frozen=True, gc=False):
    """One thing found in a source. `origin` says where, as `file:line`."""

    origin: str
    found: UsageEvent | Rejection | Skipped


class Context(msgspec.Struct, frozen=True):
    """What reading an event depends on besides its text."""

    now: datetime
    credits_per_dollar: int


class Parse(Protocol):
    def __call__(self, files: list["SourceFile"], context: Context) -> Iterator[Item]: ...


class SourceFile(Protocol):
    """A file to read: its name for messages, and its lines."""

    name: str

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """(line number from 1, bytes without the line end). Raises `BrokenFile` where it breaks off."""
        ...


class BrokenFile(Exception):
    """A file that can't be read to its end."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


def _decimal(text: str) -> Decimal:
    """A JSON number as it is written; beyond all decimals it is infinite, which no field takes."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("Infinity")


# JSON numbers are read as decimals and never as floats; NaN and Infinity are no JSON.
json_decoder = msgspec.json.Decoder(float_hook=_decimal)
