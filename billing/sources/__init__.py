"""Usage formats, one module or package each: bytes in, usage events out, no database.

Each module's `parse(files, context)` yields an `Item` for everything it finds: an event, a rejection
(meant as an event, but wrong), a skipped line (agents' logs contain more than usage and may be cut off) or
a note on an event.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

import msgspec

from billing.events.usage_event import Rejection, UsageEvent


class Skipped(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """A line of an agent's log that can't be read. Whether it held usage is unknown."""

    reason: str


class Note(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """A warning about usage that is recorded all the same: its counts contradict each other, for example."""

    text: str


class Item(msgspec.Struct, frozen=True, gc=False):
    """What was found at one place of a source; `origin` names the place as `file:line`."""

    origin: str
    found: UsageEvent | Rejection | Skipped | Note


class Context(msgspec.Struct, frozen=True):
    """What parsing an event depends on, apart from its text."""

    now: datetime
    credits_per_dollar: int


class Parse(Protocol):
    def __call__(self, files: list["SourceFile"], context: Context) -> Iterator[Item]: ...


class SourceFile(Protocol):
    """A file to parse: its name, for messages, and its lines."""

    name: str

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield (line number from 1, bytes without line ending and byte-order mark). Raises `BrokenFile`."""
        ...


class BrokenFile(Exception):
    """A file that can't be read to the end; `line` is the first one that is missing."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason
