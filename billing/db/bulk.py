"""Read and write many rows in one statement, with one interface for SQLite and PostgreSQL.

PostgreSQL takes rows by binary COPY (a fifth of the processor time of text), and sets as one joined string
per column (psycopg dumps lists slowly, and thousands of parameters cost more than the write). SQLite takes
rows by `executemany` of one prepared statement, and sets as JSON.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import msgspec
from django.db import connection, models

from billing.db import sql
from billing.db.sql import Columns

Row = Sequence[Any]
_FEW = 30
"""Up to this many rows one INSERT is faster than a COPY, which takes two round trips."""

# `billing.events.fields` refuses both characters in every text that is written or looked up in a set.
_SEPARATOR = "\x1f"
_NULL = "\x1e"


@models.CharField.register_lookup
class Among(models.Lookup):
    """`field__among=[…]`: an `IN` for thousands of ids, with one parameter and one plan."""

    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        column, params = self.process_lhs(compiler, connection)
        return f"{column} IN (SELECT value FROM json_each(%s))", [*params, _json(list(self.rhs))]

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        column, params = self.process_lhs(compiler, connection)
        return f"{column} = ANY(string_to_array(%s, E'\\x1f'))", [*params, _SEPARATOR.join(self.rhs)]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def next_ids(model: type[models.Model], count: int) -> Sequence[int]:
    """Primary keys for `count` new rows. On SQLite the caller must hold the write lock."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", [table, count]
            )
            return [row[0] for row in cursor.fetchall()]
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        found = cursor.fetchone()
        last = found[0] if found else 0
        return range(last + 1, last + 1 + count)


def insert(model: type[models.Model], columns: Columns, rows: Sequence[Row]) -> None:
    """Insert rows of Python values."""
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.executemany(sql.insert(model, columns), _adapted(model, columns, rows))
        elif len(rows) <= _FEW:
            cursor.execute(sql.insert_set(model, columns), _joined(rows))
        else:
            text, types = sql.copy(model, columns)
            # COPY bypasses Django's cursor, so psycopg's errors have to be turned into Django's here.
            with connection.wrap_database_errors, cursor.copy(text) as copy:
                copy.set_types(types)
                for row in rows:
                    copy.write_row(row)


@contextmanager
def pipelined() -> Iterator[None]:
    """Send the statements inside to PostgreSQL in one round trip; their results can't be read.

    An error may be raised as late as at the end of the block. COPY is not allowed inside.
    """
    if connection.vendor != "postgresql":
        yield
        return
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield


def add(model: type[models.Model], keys: Columns, sums: Columns, rows: Sequence[Row]) -> None:
    """Add to counters of one project: insert new rows, and increase existing ones by `x = x + excluded.x`.

    The first of `keys` is the project. The caller sorts `rows` by key, so that two writers can't deadlock.
    """
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            params = [*_joined([row[1:] for row in rows]), rows[0][0]]
            cursor.execute(sql.add_set(model, keys, sums), params)
        else:
            cursor.executemany(sql.add(model, keys, sums), _adapted(model, keys + sums, rows))


def update(model: type[models.Model], project: int, columns: Columns, rows: Sequence[Row]) -> None:
    """Update `columns` of a project's rows. Each of `rows` has the new values and, last, the row's id."""
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with _unprepared():
                cursor.execute(sql.update_set(model, columns), [*_joined(rows), project])
        else:
            values = _adapted(model, columns, [(*row, project) for row in rows])
            cursor.executemany(sql.update(model, columns), values)


def find(
    model: type[models.Model], project: int, key: Columns, wanted: Sequence[Row], columns: Columns
) -> list[tuple[Any, ...]]:
    """Return `columns` of the project's rows with one of the `wanted` keys. `key` is unique in a project.

    The statement looks each key up by itself. With a plain condition, PostgreSQL would read all rows of the
    project whenever the table has grown much since its last ANALYZE.
    """
    if not wanted:
        return []
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor, _unprepared():
            cursor.execute(sql.find_set(model, key, columns), [*_joined(wanted), project])
            return list(cursor.fetchall())
    # As model instances, because SQLite returns instants as text.
    text = sql.find(model, key, columns if "id" in columns else ("id", *columns))
    found = model._default_manager.raw(text, [_json(wanted), project])
    return [tuple(getattr(row, column) for column in columns) for row in found]


@contextmanager
def _unprepared() -> Iterator[None]:
    """Don't prepare statements: a plan made for an import's first batches, on a table of one page where any
    index will do, would be bad for its last batches."""
    psycopg_connection = connection.connection
    threshold, psycopg_connection.prepare_threshold = psycopg_connection.prepare_threshold, None
    try:
        yield
    finally:
        psycopg_connection.prepare_threshold = threshold


def _joined(rows: Sequence[Row]) -> list[str]:
    columns = zip(*rows, strict=True)
    return [_SEPARATOR.join(["", *[_text(value) for value in column]]) for column in columns]


def _text(value: Any) -> str:
    return _NULL if value is None else str(value)


def _adapted(model: type[models.Model], columns: Columns, rows: Iterable[Row]) -> Any:
    """Rows with dates and times as Django writes them to SQLite. By column: three times as fast as by row."""
    values: list[Iterable[Any]] = list(zip(*rows, strict=True))
    for position, field in enumerate(sql.fields_of(model, columns)):
        if adapter := _ADAPTERS.get(type(field)):
            values[position] = _texts(adapter, values[position])
    return zip(*values, strict=True)


def _texts(adapter: Callable[[Any], str], column: Iterable[Any]) -> Iterator[str | None]:
    """Convert a column. Neighbouring values are often one object, and converting an instant takes 3 µs."""
    last, text = None, None
    for value in column:
        if value is not last:
            last, text = value, None if value is None else adapter(value)
        yield text


def _instant_text(instant: datetime) -> str:
    """All instants that the product stores are in UTC."""
    return instant.isoformat(" ")[: -len("+00:00")]


_ADAPTERS: dict[type, Callable[[Any], str]] = {
    models.DateField: date.isoformat,
    models.DateTimeField: _instant_text,
}
