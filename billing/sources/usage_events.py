"""Usage events as JSON Lines or CSV; the first character of a file decides which it is."""

import csv
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from billing.events.parsing import read, unknown_field
from billing.events.usage_event import COUNT_FIELDS, FIELDS, EventError, Rejection, UsageEvent
from billing.json_decoding import InvalidJSON, decode
from billing.sources import BrokenFile, Context, Item, SourceFile
from products.printable import printable

NAME = "usage_events"

Row = dict[str, Any] | Rejection
"""Values by field name, or why a line or record has none."""

_WHOLE_NUMBER = re.compile(r"-?\d{1,30}", re.ASCII)


def parse(files: list[SourceFile], context: Context) -> Iterator[Item]:
    for file in files:
        yield from _parse_file(file, context)


def _parse_file(file: SourceFile, context: Context) -> Iterator[Item]:
    lines = file.lines()
    try:
        for number, line in lines:
            if line.strip():
                rest = chain([(number, line)], lines)
                rows = _json_rows(rest) if line.lstrip()[:1] == b"{" else _csv_rows(rest)
                for row_number, row in rows:
                    yield Item(f"{file.name}:{row_number}", read_row(row, context))
    except BrokenFile as broken:
        yield Item(f"{file.name}:{broken.line}", Rejection(reason=broken.reason))


def read_row(row: Row, context: Context) -> UsageEvent | Rejection:
    """The event that a row of field names and values describes, or why it is not one."""
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


def decode_row(text: bytes) -> Row:
    """The object that a JSON text holds, or why there is none."""
    try:
        return row_of(decode(text))
    except InvalidJSON as error:
        return Rejection(reason=f"not valid JSON: {error}")


def row_of(value: Any) -> Row:
    return value if isinstance(value, dict) else _NOT_AN_OBJECT


_NOT_AN_OBJECT = Rejection(reason="not a usage event: a JSON object is needed")


def _json_rows(lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, Row]]:
    for number, line in lines:
        if line.strip():
            yield number, decode_row(line)


def _csv_rows(lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, Row]]:
    """Rows of a CSV whose first line names the fields. An empty cell is a field that is not given."""
    at = {"line": 0}

    def text_lines() -> Iterator[str]:
        for number, line in lines:
            at["line"] = number
            # Bytes that are not UTF-8 become lone surrogates, which parsing refuses by field.
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
    for field in COUNT_FIELDS:
        cell = row.get(field)
        if cell is not None and _WHOLE_NUMBER.fullmatch(cell.strip()):
            row[field] = int(cell)
    if "callIds" in row:
        row["callIds"] = _csv_list(row["callIds"])
    return row


def _csv_list(cell: str) -> Any:
    """A JSON array of ids, or a single id."""
    if cell.startswith("["):
        try:
            return decode(cell.encode("utf-8", "surrogateescape"))
        except InvalidJSON:
            pass
    return [cell]
