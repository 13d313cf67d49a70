"""Many rows in one statement, the same on SQLite and PostgreSQL.

PostgreSQL takes rows by binary COPY (a fifth of the text's processor time), and sets as one joined string
a column (psycopg dumps lists slowly, and thousands of parameters cost more than the write); SQLite takes
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
"""Rows that one statement takes faster than a COPY, which asks the server twice."""

# Refused by the reader of events in every text that is written or looked up as part of a set.
_SEPARATOR = "\x1f"
_NULL = "\x1e"


@models.CharField.register_lookup
class Among(models.Lookup):
    """`field__among=[…]`: `IN` for thousands of ids, as one parameter and one plan."""

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
    """Primary keys for `count` new rows. On SQLite the caller holds the write lock."""
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
    """Append rows of Python values."""
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.executemany(sql.insert(model, columns), _adapted(model, columns, rows))
        elif len(rows) <= _FEW:
            cursor.execute(sql.insert_set(model, columns), _joined(rows))
        else:
            text, types = sql.copy(model, columns)
            # COPY goes past Django's cursor, which would make Django's errors of psycopg's.
            with connection.wrap_database_errors, cursor.copy(text) as copy:
                copy.set_types(types)
                for row in rows:
                    copy.write_row(row)


@contextmanager
def without_waiting() -> Iterator[None]:
    """Statements whose answers nobody reads are sent to PostgreSQL together, in one round trip.

    Whatever one of them raises comes at the end at the latest. No COPY may be among them.
    """
    if connection.vendor != "postgresql":
        yield
        return
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield


def add(model: type[models.Model], keys: Columns, sums: Columns, rows: Sequence[Row]) -> None:
    """Add to counters of one project: new rows are inserted, present ones get `x = x + excluded.x`.

    The first of `keys` is the project. `rows` are sorted by key by the caller, so that two writers can't
    lock each other out.
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
    """Set `columns` of a project's rows known by their id, which each row has last."""
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with _planned_anew():
                cursor.execute(sql.update_set(model, columns), [*_joined(rows), project])
        else:
            told = _adapted(model, columns, [(*row, project) for row in rows])
            cursor.executemany(sql.update(model, columns), told)


def find(
    model: type[models.Model], project: int, key: Columns, wanted: Sequence[Row], columns: Columns
) -> list[tuple[Any, ...]]:
    """`columns` of a project's rows that have one of the `wanted` values in a key that is unique in it.

    Each is looked up by itself. Given them as a plain condition, PostgreSQL goes through everything that
    the project has, wherever a table has grown since it last counted.
    """
    if not wanted:
        return []
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor, _planned_anew():
            cursor.execute(sql.find_set(model, key, columns), [*_joined(wanted), project])
            return list(cursor.fetchall())
    # As objects: SQLite's own values are texts where ours are instants.
    text = sql.find(model, key, columns if "id" in columns else ("id", *columns))
    found = model._default_manager.raw(text, [_json(wanted), project])
    return [tuple(getattr(one, column) for column in columns) for one in found]


@contextmanager
def _planned_anew() -> Iterator[None]:
    """No plan of an import's first batches for its last: in a table of a page any index will do."""
    at_psycopg = connection.connection
    threshold, at_psycopg.prepare_threshold = at_psycopg.prepare_threshold, None
    try:
        yield
    finally:
        at_psycopg.prepare_threshold = threshold


def _joined(rows: Sequence[Row]) -> list[str]:
    columns = zip(*rows, strict=True)
    return [_SEPARATOR.join(["", *[_text(value) for value in column]]) for column in columns]


def _text(value: Any) -> str:
    return _NULL if value is None else str(value)


def _adapted(model: type[models.Model], columns: Columns, rows: Iterable[Row]) -> Any:
    """Rows with dates and times as Django writes them to SQLite; column by column, three times as fast."""
    told: list[Iterable[Any]] = list(zip(*rows, strict=True))
    for position, field in enumerate(sql.fields_of(model, columns)):
        if adapter := _ADAPTERS.get(type(field)):
            told[position] = _texts(adapter, told[position])
    return zip(*told, strict=True)


def _texts(adapter: Callable[[Any], str], column: Iterable[Any]) -> Iterator[str | None]:
    """Neighbours are often one and the same, and an instant takes three microseconds to write."""
    last, text = None, None
    for value in column:
        if value is not last:
            last, text = value, None if value is None else adapter(value)
        yield text


def _instant_text(instant: datetime) -> str:
    """In UTC, as all are that the product keeps."""
    return instant.isoformat(" ")[: -len("+00:00")]


_ADAPTERS: dict[type, Callable[[Any], str]] = {
    models.DateField: date.isoformat,
    models.DateTimeField: _instant_text,
}
