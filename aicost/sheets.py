"""Tables for machines, as CSV and JSON. Text cells are safe for spreadsheets; numbers stay numbers."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO

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


def as_csv(table: Table) -> str:
    out = Lines()
    return "".join(out.line(row) for row in (table.columns, *table.rows, table.total))


def as_json(table: Table) -> str:
    named = [dict(zip(table.columns, row, strict=True)) for row in (*table.rows, table.total)]
    return json.dumps({"name": table.name, "rows": named[:-1], "total": named[-1]})


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
