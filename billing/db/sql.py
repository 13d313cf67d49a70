"""The texts of the statements that `bulk` sends: each is made once for a model and its columns, and kept.

To ask Django for names and types each time took as long as a small statement itself. They are those of
the one database that a process has.
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
    """A parameter for each column of a row."""
    return f"INSERT INTO {_into(model, columns)} VALUES ({', '.join(['%s'] * len(columns))})"


@cache
def insert_set(model: Model, columns: Columns) -> str:
    """A set for each column (PostgreSQL)."""
    return f"INSERT INTO {_into(model, columns)} SELECT * FROM {_unnest(model, columns)}"


@cache
def copy(model: Model, columns: Columns) -> tuple[str, list[str]]:
    """With the types of the columns (PostgreSQL)."""
    of_any_length = (_type(field).partition("(")[0] for field in fields_of(model, columns))
    return f"COPY {_into(model, columns)} FROM STDIN (FORMAT BINARY)", list(of_any_length)


@cache
def add(model: Model, keys: Columns, sums: Columns) -> str:
    """A parameter for each column of a row; present rows get `x = x + excluded.x`."""
    return f"{insert(model, keys + sums)} {_or_add(model, keys, sums)}"


@cache
def add_set(model: Model, keys: Columns, sums: Columns) -> str:
    """A set for each column but the project's, which is the first, and then its id (PostgreSQL).

    Beside the project's own row: on a cluster the statement then goes as it is to the machine that has
    it, in a third of the time; else the rows would first be gathered and sent on.
    """
    columns = keys + sums
    beside = f"{_table(Project)} p, {_unnest(model, columns[1:])} u WHERE p.id = %s"
    return f"INSERT INTO {_into(model, columns)} SELECT p.id, u.* FROM {beside} {_or_add(model, keys, sums)}"


@cache
def update(model: Model, columns: Columns) -> str:
    """A parameter for each column of a row, then its id and its project's."""
    changes = ", ".join(f"{name} = %s" for name in _names(model, columns))
    return f"UPDATE {_table(model)} SET {changes} WHERE id = %s AND project_id = %s"


@cache
def update_set(model: Model, columns: Columns) -> str:
    """A set for each column, one of ids, and then the project's id (PostgreSQL)."""
    table, names = _table(model), _names(model, columns)
    changes = ", ".join(f"{name} = new.{name}" for name in names)
    source = f"{_unnest(model, (*columns, 'id'))} AS new({', '.join(names)}, id)"
    return f"UPDATE {table} SET {changes} FROM {source} WHERE {table}.project_id = %s AND {table}.id = new.id"


@cache
def find(model: Model, key: Columns, columns: Columns) -> str:
    """The values of the key as one JSON array of arrays, and then the project's id (SQLite)."""
    table = _table(model)
    wanted = (f"{table}.{name} = json_extract(value, '$[{n}]')" for n, name in enumerate(_names(model, key)))
    same = " AND ".join(wanted)
    source = f"json_each(%s) CROSS JOIN {table}"
    return f"SELECT {_listed(model, columns)} FROM {source} ON project_id = %s AND {same}"


@cache
def find_set(model: Model, key: Columns, columns: Columns) -> str:
    """A set for each column of the key, and then the project's id (PostgreSQL)."""
    table = _table(model)
    names = _names(model, key)
    source = f"{_unnest(model, key)} AS wanted({', '.join(f'k{n}' for n in range(len(key)))})"
    same = " AND ".join(f"{table}.{name} = wanted.k{n}" for n, name in enumerate(names))
    one = f"SELECT {_listed(model, columns)} FROM {table} WHERE project_id = %s AND {same} LIMIT 1"
    return f"SELECT one.* FROM {source} CROSS JOIN LATERAL ({one}) AS one"


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
    # The first element is cut off again: a set of one empty text alone would read as an empty array.
    sets = (
        f"(string_to_array(%s, E'\\x1f', E'\\x1e'))[2:]::{_type(field)}[]"
        for field in fields_of(model, columns)
    )
    return f"unnest({', '.join(sets)})"


def _type(field: models.Field) -> str:
    kind = field.rel_db_type(connection) if field.primary_key else field.db_type(connection)
    return str(kind)
