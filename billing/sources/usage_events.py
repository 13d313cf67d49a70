"""Usage events as JSON Lines or CSV, told apart by the first character of the file."""

import csv
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from billing.events.parsing import read, unknown_field
from billing.events.usage_event import FIELDS, TOKEN_FIELDS, EventError, Rejection
from billing.sources import BrokenFile, Context, Item, SourceFile, json_decoder
from products.printable import printable

NAME = "usage_events"

_BOM = b"\xef\xbb\xbf"
_WHOLE_NUMBER = re.compile(r"-?\d{1,30}", re.ASCII)


def parse(files: list[SourceFile], context: Context) -> Iterator[Item]:
    for file in files:
        yield from _parse_file(file, context)


def _parse_file(file: SourceFile, context: Context) -> Iterator[Item]:
    lines = file.lines()
    try:
        for number, line in lines:
            text = line.removeprefix(_BOM) if number == 1 else line
            if text.strip():
                rest = _chain(number, text, lines)
                rows = _json_rows(rest) if text.lstrip()[:1] == b"{" else _csv_rows(rest)
                for row_number, row in rows:
                    yield Item(f"{file.name}:{row_number}", read_row(row, context))
    except BrokenFile as broken:
        yield Item(f"{file.name}:{broken.line}", Rejection(reason=broken.reason))


def _chain(number: int, first: bytes, rest: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    yield number, first
    yield from rest


def read_row(row: dict[str, Any] | Rejection, context: Context) -> Any:
    """The event that a row of field names and values tells, or why it is none."""
    if isinstance(row, Rejection):
        return row
    try:
        return read(row, now=context.now, credits_per_dollar=context.credits_per_dollar)
    except EventError as error:
        event_id = row.get("eventId")
        return Rejection(
            field=error.field,
            reason=error.reason,
            event_id=printable(event_id) if isinstance(event_id, str) else "",
        )


def decode(text: bytes) -> dict[str, Any] | Rejection:
    """One JSON text → the mapping in it, or why there is none."""
    try:
        value = json_decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Rejection(reason=f"not valid JSON: {error}")
    except RecursionError:
        return Rejection(reason="not valid JSON: nested too deeply")
    if not isinstance(value, dict):
        return Rejection(reason="not a usage event: a JSON object is needed")
    return value


def _json_rows(lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, dict[str, Any] | Rejection]]:
    for number, line in lines:
        if line.strip():
            yield number, decode(line)


def _csv_rows(lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, dict[str, Any] | Rejection]]:
    """Rows of a CSV whose first line names the fields. An empty cell tells nothing."""
    at = {"line": 0}

    def text_lines() -> Iterator[str]:
        for number, line in lines:
            at["line"] = number
            # What is no UTF-8 becomes lone surrogates, which the reader of events refuses by field.
            yield line.decode("utf-8", "surrogateescape") + "\n"

    rows = csv.reader(text_lines(), strict=True)
    header: list[str] | None = None
    while True:
        start = at["line"] + 1
        try:
            cells = next(rows, None)
        except csv.Error as error:
            yield start, Rejection(reason=f"not valid CSV: {error}")
            continue
        if cells is None:
            return
        if not cells:
            continue
        if header is None:
            header = [cell.strip() for cell in cells]
            wrong = _wrong_header(header)
            if wrong:
                yield at["line"], wrong
                return
        elif len(cells) != len(header):
            yield start, Rejection(reason=f"has {len(cells)} cells where the header names {len(header)}")
        else:
            yield start, _csv_values(header, cells)


def _wrong_header(header: list[str]) -> Rejection | None:
    for position, name in enumerate(header):
        if name not in FIELDS:
            return Rejection(
                field=printable(name), reason=unknown_field(name) + "; nothing of this file is read"
            )
        if name in header[:position]:
            return Rejection(field=name, reason="names two columns; nothing of this file is read")
    return None


def _csv_values(header: list[str], cells: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {name: cell for name, cell in zip(header, cells, strict=True) if cell != ""}
    for field in TOKEN_FIELDS:
        cell = row.get(field)
        if cell is not None and _WHOLE_NUMBER.fullmatch(cell.strip()):
            row[field] = int(cell)
    return row
