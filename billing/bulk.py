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

from products.models import Project

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


def insert(model: type[models.Model], columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Append rows of Python values; `columns` are attribute names (`project_id`)."""
    fields = _fields(model, columns)
    table, names = _quote(model._meta.db_table), ", ".join(_quote(f.column) for f in fields)
    if connection.vendor == "postgresql" and isinstance(rows, Sequence) and len(rows) <= _FEW:
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {table} ({names}) SELECT * FROM {_unnest(fields)}", _joined(rows))
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # COPY goes past Django's cursor, which would make Django's errors of psycopg's.
            with (
                connection.wrap_database_errors,
                cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)") as copy,
            ):
                copy.set_types([_bare_type(field) for field in fields])
                for row in rows:
                    copy.write_row(row)
        else:
            marks = ", ".join(["%s"] * len(fields))
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", _adapted(fields, rows))


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


def add(model: type[models.Model], keys: Sequence[str], sums: Sequence[str], rows: Sequence[Row]) -> None:
    """Add to counters of one project: new rows are inserted, present ones get `x = x + excluded.x`.

    The first of `keys` is the project. `rows` are sorted by key by the caller, so that two writers can't
    lock each other out.
    """
    if not rows:
        return
    fields = _fields(model, [*keys, *sums])
    table = _quote(model._meta.db_table)
    names = [_quote(f.column) for f in fields]
    target = ", ".join(names[: len(keys)])
    changes = ", ".join(f"{n} = {table}.{n} + excluded.{n}" for n in names[len(keys) :])
    conflict = f"ON CONFLICT ({target}) DO UPDATE SET {changes}"
    into = f"INSERT INTO {table} ({', '.join(names)})"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Beside the project's own row: on a cluster the statement then goes as it is to the machine
            # that has it, in a third of the time; else the rows would first be gathered and sent on.
            beside = f"{_quote(Project._meta.db_table)} p, {_unnest(fields[1:])} u WHERE p.id = %s"
            params = [*_joined([row[1:] for row in rows]), rows[0][0]]
            cursor.execute(f"{into} SELECT p.id, u.* FROM {beside} {conflict}", params)
        else:
            marks = ", ".join(["%s"] * len(fields))
            cursor.executemany(f"{into} VALUES ({marks}) {conflict}", _adapted(fields, rows))


def update(model: type[models.Model], project: int, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Set `columns` of a project's rows known by their id, which each row has last."""
    if not rows:
        return
    fields = _fields(model, [*columns, "id"])
    table = _quote(model._meta.db_table)
    names = [_quote(f.column) for f in fields[:-1]]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            changes = ", ".join(f"{n} = new.{n}" for n in names)
            source = f"{_unnest(fields)} AS new({', '.join(names)}, id)"
            cursor.execute(
                f"UPDATE {table} SET {changes} FROM {source} "
                f"WHERE {table}.project_id = %s AND {table}.id = new.id",
                [*_joined(rows), project],
            )
        else:
            changes = ", ".join(f"{n} = %s" for n in names)
            sql = f"UPDATE {table} SET {changes} WHERE id = %s AND project_id = %s"
            cursor.executemany(sql, _adapted(fields, [(*row, project) for row in rows]))


def find(
    model: type[models.Model], project: int, key: Sequence[str], wanted: Sequence[Row], columns: Sequence[str]
) -> list[tuple[Any, ...]]:
    """`columns` of a project's rows that have one of the `wanted` values in a key that is unique in it.

    Each is looked up by itself. Given them as a plain condition, PostgreSQL goes through everything that
    the project has, wherever a table has grown since it last counted.
    """
    if not wanted:
        return []
    table = _quote(model._meta.db_table)
    names = [
        f"{table}.{_quote(field.column)}" for field in _fields(model, list(dict.fromkeys(["id", *columns])))
    ]
    select = f"SELECT {', '.join(names)}"
    keys = _fields(model, key)
    if connection.vendor == "postgresql":
        of_one = (f"{table}.{_quote(field.column)} = wanted.k{n}" for n, field in enumerate(keys))
        source = f"{_unnest(keys)} AS wanted({', '.join(f'k{n}' for n in range(len(keys)))})"
        one = f"{select} FROM {table} WHERE project_id = %s AND {' AND '.join(of_one)} LIMIT 1"
        sql = f"SELECT one.* FROM {source} CROSS JOIN LATERAL ({one}) AS one"
        params = [*_joined(wanted), project]
    else:
        of_one = (f"{table}.{_quote(f.column)} = json_extract(value, '$[{n}]')" for n, f in enumerate(keys))
        same = " AND ".join(of_one)
        sql = f"{select} FROM json_each(%s) CROSS JOIN {table} ON project_id = %s AND {same}"
        params = [_json(wanted), project]
    found = model._default_manager.raw(sql, params)
    return [tuple(getattr(one, column) for column in columns) for one in found]


def _fields(model: type[models.Model], columns: Sequence[str]) -> list[models.Field]:
    by_name = {field.attname: field for field in model._meta.concrete_fields}
    return [by_name[name] for name in columns]


def _quote(name: str | None) -> str:
    assert name
    return connection.ops.quote_name(name)


def _unnest(fields: Sequence[models.Field]) -> str:
    # The first element is cut off again: a set of one empty text alone would read as an empty array.
    arrays = (f"(string_to_array(%s, E'\\x1f', E'\\x1e'))[2:]::{_type(field)}[]" for field in fields)
    return f"unnest({', '.join(arrays)})"


def _type(field: models.Field) -> str:
    kind = field.rel_db_type(connection) if field.primary_key else field.db_type(connection)
    return str(kind)


def _bare_type(field: models.Field) -> str:
    """Without the length: `varchar(200)` is `varchar`."""
    return _type(field).partition("(")[0]


def _joined(rows: Sequence[Row]) -> list[str]:
    columns = zip(*rows, strict=True)
    return [_SEPARATOR.join(["", *[_text(value) for value in column]]) for column in columns]


def _text(value: Any) -> str:
    return _NULL if value is None else str(value)


def _adapted(fields: Sequence[models.Field], rows: Iterable[Row]) -> Any:
    """Rows with dates and times as Django writes them to SQLite; column by column, three times as fast."""
    columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
    for position, field in enumerate(fields[: len(columns)]):
        if adapter := _ADAPTERS.get(type(field)):
            columns[position] = _texts(adapter, columns[position])
    return zip(*columns, strict=True)


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
