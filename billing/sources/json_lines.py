"""Agents' session logs: one JSON object a line, each read for itself. What every such log has in common."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

from billing.events import usage_event
from billing.events.usage_event import Rejection
from billing.json_decoding import InvalidJSON, decode
from billing.sources import BrokenFile, Context, Item, Skipped, SourceFile
from billing.sources.usage_events import read_row
from products.printable import printable

MAIN = "main"
"""The agent type of a session's own agent, as opposed to its subagents."""
_ENDING = re.compile(r"(\.jsonl|\.ndjson)?(\.gz|\.zst)?$")

Record = dict[str, Any]


class UnreadableLine(Exception):  # names the line, not the exception
    """Why a line, or the usage in it, can't be read."""


def read_file(
    file: SourceFile, context: Context, read_line: Callable[[int, Record], Record | None]
) -> Iterator[Item]:
    """Pass each line's number and content to `read_line`, and yield the events that it returns as rows.

    A line is skipped, and named, if `read_line` raises `UnreadableLine` or the line is not a JSON object.
    """
    try:
        for number, line in file.lines():
            origin = f"{file.name}:{number}"
            try:
                row = read_line(number, decode_record(line))
            except UnreadableLine as error:
                yield Item(origin, Skipped(reason=str(error)))
            else:
                if row:
                    yield Item(origin, read_row(row, context))
    except BrokenFile as broken:
        yield Item(f"{file.name}:{broken.line}", Rejection(reason=broken.reason))


def decode_record(line: bytes) -> Record:
    """The object in a line; an empty one for a blank line. Raises `UnreadableLine`."""
    if not line.strip():
        return {}
    try:
        value = decode(line)
    except InvalidJSON as error:
        raise UnreadableLine(f"not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise UnreadableLine("not a JSON object")
    return value


def stem_of(name: str) -> str:
    """The name of a log file without its folder and endings."""
    return _ENDING.sub("", PurePath(name).name)


def text_of(record: Record, field: str) -> str:
    value = record.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnreadableLine(f"{field}: must be text, not {printable(value)}")
    return value


def count_of(counts: Record, field: str) -> int:
    value = counts.get(field)
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value <= usage_event.MAX_TOKENS:
        raise UnreadableLine(f"{field}: must be a whole number from 0 to 10¹², not {printable(value)}")
    return value


def instant_of(text: object, latest: datetime) -> datetime:
    """A log's timestamp in UTC, from 2000 to `latest`."""
    try:
        instant = datetime.fromisoformat(text)  # type: ignore[arg-type]  # what is not text is refused below
        if instant.tzinfo and usage_event.EARLIEST <= instant <= latest:
            return instant.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        pass
    raise UnreadableLine(f"timestamp: is not a possible time: {printable(text)}")
