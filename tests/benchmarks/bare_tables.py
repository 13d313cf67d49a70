"""Loading tables without their keys and indexes, which are restored afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from psycopg import Connection

LOADED = ("products_pipelinerun", "products_agentjob", "billing_credittransaction", "billing_runspend")

_CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, contype, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = ANY(%(tables)s::regclass[]) AND contype IN ('f', 'p', 'u')
    ORDER BY contype <> 'f', conrelid::regclass::text, conname
"""
_INDEXES = """
    SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
    WHERE indrelid = ANY(%(tables)s::regclass[])
    AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u'))
    ORDER BY 1
"""
_SCHEMA = """
    SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid), convalidated FROM pg_constraint
    UNION ALL
    SELECT indrelid::regclass::text, indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid
    FROM pg_index WHERE indrelid = ANY(%(tables)s::regclass[])
    UNION ALL
    SELECT tgrelid::regclass::text, tgname::text, pg_get_triggerdef(oid), tgenabled = 'O' FROM pg_trigger
    WHERE NOT tgisinternal
    ORDER BY 1, 2, 3
"""


class Lifted(NamedTuple):
    """What to take away, in the order in which that can be done, and what brings it back in the reverse."""

    drop: str
    create: str


@contextmanager
def bare(connection: Connection) -> Iterator[None]:
    """Only rows may be added inside, since triggers stay. Fails if the schema differs afterwards."""
    parameters: dict[str, Any] = {"tables": list(LOADED)}
    before = connection.execute(_SCHEMA, parameters).fetchall()
    lifted = [
        Lifted(
            f"ALTER TABLE {table} DROP CONSTRAINT {name}",
            f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}",
        )
        for table, name, _, definition in connection.execute(_CONSTRAINTS, parameters)
    ]
    lifted += [
        Lifted(f"DROP INDEX {name}", definition)
        for name, definition in connection.execute(_INDEXES, parameters)
    ]
    for item in lifted:
        connection.execute(item.drop)  # type: ignore[call-overload]
    yield
    for item in reversed(lifted):
        connection.execute(item.create)  # type: ignore[call-overload]
    assert connection.execute(_SCHEMA, parameters).fetchall() == before
