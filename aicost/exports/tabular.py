"""Tables for machines, as CSV and JSON. Text cells are safe for spreadsheets; numbers stay numbers."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO

from aicost.formatting import text as formats
from billing import money

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    name: str
    columns: Sequence[str]
    rows: Iterable[Sequence[Cell]]
    total: Sequence[Cell]
    """The last line, cell for cell; None where a sum says nothing."""


class Exact(str):
    """A decimal number in text, every digit of it: no spreadsheet formula, whatever it begins with."""


def exact(nanos: int) -> Exact:
    return Exact(money.plain(money.decimal_dollars(nanos)))


def csv_rows(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Line by line, where there is nothing to sum."""
    out = Lines()
    yield out.line(columns)
    for row in rows:
        yield out.line(row)


def csv_lines(table: Table) -> Iterator[str]:
    """Line by line; the total is looked at after the last row."""
    yield from csv_rows(table.columns, table.rows)
    yield Lines().line(table.total)


def json_lines(table: Table) -> Iterator[str]:
    """One JSON object, a row a line; the total is looked at after the last row."""
    yield f'{{"name": {json.dumps(table.name)}, "rows": ['
    between = "\n"
    for row in table.rows:
        yield between + _named(table, row)
        between = ",\n"
    yield f'\n], "total": {_named(table, table.total)}}}'


def _named(table: Table, row: Sequence[Cell]) -> str:
    return json.dumps(dict(zip(table.columns, row, strict=True)))


def instant(at: datetime | None) -> str | None:
    return None if at is None else formats.utc(at)


class Lines:
    """CSV a line at a time."""

    def __init__(self) -> None:
        self._buffer = StringIO()
        self._writer = csv.writer(self._buffer)

    def line(self, cells: Sequence[Cell]) -> str:
        self._buffer.seek(0)
        self._buffer.truncate()
        self._writer.writerow([safe(cell) for cell in cells])
        return self._buffer.getvalue()


def safe(cell: Cell) -> Cell:
    """Text that a spreadsheet would run as a formula gets a quote in front of it."""
    if (
        isinstance(cell, str)
        and not isinstance(cell, Exact)
        and cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    ):
        return f"'{cell}"
    return cell
