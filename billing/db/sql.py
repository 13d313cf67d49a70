"""The SQL that `bulk` sends, built once for each model and set of columns.

Asking Django for names and types each time took as long as a small statement itself. A process has only one
database, so the text can be cached.
"""

from functools import cache

from django.db import connection, models

from products.models import Project

Model = type[models.Model]
Columns = tuple[str, ...]
"""Attribute names, such as `project_id`."""


@cache
def fields_of(model: Model, columns: Columns) -> tuple[models.Field, ...]:
    by_name = {field.attname: field for field in model._meta.concrete_fields}
    return tuple(by_name[name] for name in columns)


@cache
def insert(model: Model, columns: Columns) -> str:
    """Parameters: one for each column."""
    return f"INSERT INTO {_into(model, columns)} VALUES ({', '.join(['%s'] * len(columns))})"


@cache
def insert_set(model: Model, columns: Columns) -> str:
    """Parameters: a set for each column (PostgreSQL)."""
    return f"INSERT INTO {_into(model, columns)} SELECT * FROM {_unnest(model, columns)}"


@cache
def copy(model: Model, columns: Columns) -> tuple[str, list[str]]:
    """The statement and the types of its columns (PostgreSQL)."""
    types_without_length = (_type(field).partition("(")[0] for field in fields_of(model, columns))
    return f"COPY {_into(model, columns)} FROM STDIN (FORMAT BINARY)", list(types_without_length)


@cache
def add(model: Model, keys: Columns, sums: Columns) -> str:
    """Insert rows, or increase existing ones. Parameters: one for each column."""
    return f"{insert(model, keys + sums)} {_or_add(model, keys, sums)}"


@cache
def add_set(model: Model, keys: Columns, sums: Columns) -> str:
    """`add` for many rows of one project (PostgreSQL).

    Parameters: a set for each column but the project's, which is the first, and then the project's id.
    The join with the project's row lets a cluster send the statement unchanged to the machine that has the
    row, which takes a third of the time; otherwise it would collect the rows first and send them on.
    """
    columns = keys + sums
    joined = f"{_table(Project)} p, {_unnest(model, columns[1:])} u WHERE p.id = %s"
    return f"INSERT INTO {_into(model, columns)} SELECT p.id, u.* FROM {joined} {_or_add(model, keys, sums)}"


@cache
def update(model: Model, columns: Columns) -> str:
    """Parameters: one for each column, then the row's id and the project's id."""
    changes = ", ".join(f"{name} = %s" for name in _names(model, columns))
    return f"UPDATE {_table(model)} SET {changes} WHERE id = %s AND project_id = %s"


@cache
def update_set(model: Model, columns: Columns) -> str:
    """Parameters: a set for each column, a set of row ids, and then the project's id (PostgreSQL)."""
    table, names = _table(model), _names(model, columns)
    changes = ", ".join(f"{name} = new.{name}" for name in names)
    source = f"{_unnest(model, (*columns, 'id'))} AS new({', '.join(names)}, id)"
    return f"UPDATE {table} SET {changes} FROM {source} WHERE {table}.project_id = %s AND {table}.id = new.id"


@cache
def find(model: Model, key: Columns, columns: Columns) -> str:
    """Parameters: the wanted keys as a JSON array of arrays, and then the project's id (SQLite)."""
    table = _table(model)
    wanted = (f"{table}.{name} = json_extract(value, '$[{n}]')" for n, name in enumerate(_names(model, key)))
    same = " AND ".join(wanted)
    source = f"json_each(%s) CROSS JOIN {table}"
    return f"SELECT {_listed(model, columns)} FROM {source} ON project_id = %s AND {same}"


@cache
def find_set(model: Model, key: Columns, columns: Columns) -> str:
    """Parameters: a set for each column of the key, and then the project's id (PostgreSQL)."""
    table = _table(model)
    names = _names(model, key)
    source = f"{_unnest(model, key)} AS wanted({', '.join(f'k{n}' for n in range(len(key)))})"
    same = " AND ".join(f"{table}.{name} = wanted.k{n}" for n, name in enumerate(names))
    row = f"SELECT {_listed(model, columns)} FROM {table} WHERE project_id = %s AND {same} LIMIT 1"
    return f"SELECT found.* FROM {source} CROSS JOIN LATERAL ({row}) AS found"


def _table(model: Model) -> str:
    return connection.ops.quote_name(model._meta.db_table)


def _names(model: Model, columns: Columns) -> list[str]:
    return [connection.ops.quote_name(str(field.column)) for field in fields_of(model, columns)]


def _listed(model: Model, columns: Columns) -> str:
    return ", ".join(f"{_table(model)}.{name}" for name in _names(model, columns))


def _into(model: Model, columns: Columns) -> str:
    return f"{_table(model)} ({', '.join(_names(model, columns))})"


def _or_add(model: Model, keys: Columns, sums: Columns) -> str:
    changes = ", ".join(f"{name} = {_table(model)}.{name} + excluded.{name}" for name in _names(model, sums))
    return f"ON CONFLICT ({', '.join(_names(model, keys))}) DO UPDATE SET {changes}"


def _unnest(model: Model, columns: Columns) -> str:
    # `bulk` puts an empty element first, cut off here: a set of one empty text would read as an empty array.
    sets = (
        f"(string_to_array(%s, E'\\x1f', E'\\x1e'))[2:]::{_type(field)}[]"
        for field in fields_of(model, columns)
    )
    return f"unnest({', '.join(sets)})"


def _type(field: models.Field) -> str:
    kind = field.rel_db_type(connection) if field.primary_key else field.db_type(connection)
    return str(kind)
