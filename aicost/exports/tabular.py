"""Tables as CSV and JSON. In CSV, text cells are safe for spreadsheets; numbers stay numbers."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO

from aicost.formatting import text
from billing import money

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    name: str
    columns: Sequence[str]
    rows: Iterable[Sequence[Cell]]
    total: Sequence[Cell]
    """The last line, a cell for each column; None where a sum makes no sense."""


class Exact(str):
    """A decimal number as text with every digit. Never a spreadsheet formula, even with a minus sign."""


def exact(nanos: int) -> Exact:
    return Exact(money.plain(money.decimal_dollars(nanos)))


def csv_rows(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """CSV lines without a total."""
    out = Lines()
    yield out.line(columns)
    for row in rows:
        yield out.line(row)


def csv_lines(table: Table) -> Iterator[str]:
    """CSV lines; the total is read after the last row."""
    yield from csv_rows(table.columns, table.rows)
    yield Lines().line(table.total)


def json_lines(table: Table) -> Iterator[str]:
    """A JSON object with each row on its own line; the total is read after the last row."""
    yield f'{{"name": {json.dumps(table.name)}, "rows": ['
    separator = "\n"
    for row in table.rows:
        yield separator + _named(table, row)
        separator = ",\n"
    yield f'\n], "total": {_named(table, table.total)}}}'


def _named(table: Table, row: Sequence[Cell]) -> str:
    return json.dumps(dict(zip(table.columns, row, strict=True)))


def instant(at: datetime | None) -> str | None:
    return None if at is None else text.utc(at)


class Lines:
    """Writes CSV one line at a time."""

    def __init__(self) -> None:
        self._buffer = StringIO()
        self._writer = csv.writer(self._buffer)

    def line(self, cells: Sequence[Cell]) -> str:
        self._buffer.seek(0)
        self._buffer.truncate()
        self._writer.writerow([safe(cell) for cell in cells])
        return self._buffer.getvalue()


def safe(cell: Cell) -> Cell:
    """Prefix a quote to text that a spreadsheet would run as a formula."""
    if (
        isinstance(cell, str)
        and not isinstance(cell, Exact)
        and cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    ):
        return f"'{cell}"
    return cell
