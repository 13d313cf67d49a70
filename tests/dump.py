"""The whole contents of the database, as in a dump."""

from typing import Any

from django.db import connection


def everything() -> dict[str, list[Any]]:
    """All rows of all tables, as the database driver returns them."""
    with connection.cursor() as cursor:
        return {table: _rows(cursor, table) for table in connection.introspection.table_names(cursor)}


def _rows(cursor: Any, table: str) -> list[Any]:
    cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
    return sorted(([_plain(value) for value in row] for row in cursor.fetchall()), key=repr)


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value
