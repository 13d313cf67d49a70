"""Look up in the catalogs of PostgreSQL and Citus what is there: tables, keys, triggers, machines."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from billing.db.triggers import LEDGER


@dataclass(frozen=True)
class ForeignKey:
    name: str
    table: str
    columns: tuple[str, ...]
    parent: str
    definition: str
    deferrable: bool


@dataclass(frozen=True)
class UniqueKey:
    name: str
    columns: tuple[str, ...]
    primary: bool


def is_distributed(connection: BaseDatabaseWrapper) -> bool:
    """Whether `manage.py distribute` has run on this database."""
    return connection.vendor == "postgresql" and has_citus(connection) and LEDGER in placed_tables(connection)


def has_citus(connection: BaseDatabaseWrapper) -> bool:
    return bool(rows(connection, "SELECT 1 FROM pg_extension WHERE extname = 'citus'"))


def machines(connection: BaseDatabaseWrapper) -> tuple[int, int]:
    """How many coordinators (0 or 1) and how many workers the cluster knows."""
    [(coordinators, workers)] = rows(
        connection,
        "SELECT count(*) FILTER (WHERE groupid = 0), "
        "count(*) FILTER (WHERE groupid <> 0 AND shouldhaveshards) FROM pg_dist_node "
        "WHERE isactive AND noderole = 'primary'",
    )
    return coordinators, workers


def placed_tables(connection: BaseDatabaseWrapper) -> set[str]:
    """Distributed and reference tables."""
    query = (
        "SELECT logicalrelid::regclass::text FROM pg_dist_partition WHERE partmethod = 'h' OR repmodel = 't'"
    )
    return {table for (table,) in rows(connection, query)}


def foreign_keys(connection: BaseDatabaseWrapper) -> list[ForeignKey]:
    query = """
        SELECT conname, conrelid::regclass::text, array_agg(attname::text ORDER BY position),
            confrelid::regclass::text, pg_get_constraintdef(c.oid), condeferrable
        FROM pg_constraint c
        CROSS JOIN unnest(conkey) WITH ORDINALITY AS k(attnum, position)
        JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.attnum
        WHERE contype = 'f' AND connamespace = current_schema()::regnamespace
        GROUP BY c.oid ORDER BY 2, 1"""
    return [
        ForeignKey(name, table, tuple(columns), parent, definition, deferrable)
        for name, table, columns, parent, definition, deferrable in rows(connection, query)
    ]


def unique_keys(connection: BaseDatabaseWrapper, table: str) -> list[UniqueKey]:
    """The table's primary key and unique constraints."""
    query = """
        SELECT conname::text, array_agg(attname::text ORDER BY position), contype = 'p'
        FROM pg_constraint c
        CROSS JOIN unnest(conkey) WITH ORDINALITY AS k(attnum, position)
        JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.attnum
        WHERE contype IN ('p', 'u') AND conrelid = %s::regclass
        GROUP BY c.oid"""
    return [
        UniqueKey(name, tuple(columns), primary) for name, columns, primary in rows(connection, query, table)
    ]


def triggers(connection: BaseDatabaseWrapper, tables: Collection[str]) -> list[tuple[str, str]]:
    """Table and name of each trigger of these tables."""
    query = (
        "SELECT tgrelid::regclass::text, tgname::text FROM pg_trigger "
        "WHERE NOT tgisinternal AND tgrelid::regclass::text = ANY(%s) ORDER BY 1, 2"
    )
    return [(table, name) for table, name in rows(connection, query, [*tables])]


def rows(connection: BaseDatabaseWrapper, query: str, *params: Any) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return list(cursor.fetchall())
