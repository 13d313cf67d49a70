"""Raw SQL past the door, as a careless person with a database console would write it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from billing.db.triggers import install_billing
from products.db.triggers import install_products
from tests import citus


def sql(statement: str, *params: Any) -> int:
    """How many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return int(cursor.rowcount)


@contextmanager
def refused(match: str) -> Iterator[None]:
    """By the database; the test's own transaction goes on.

    A cluster passes on what another machine says of a COPY in an error of its own, and refuses by
    itself to move a row from one project to another, or to MERGE what lies on several machines.
    """
    error: type[DatabaseError] = IntegrityError
    if citus.in_use():
        error, match = DatabaseError, f"{match}|modifying the partition value|join operation is missing"
    with pytest.raises(error, match=match), transaction.atomic():
        yield


@contextmanager
def guards_lifted() -> Iterator[None]:
    """Inside a transaction: triggers and foreign keys that the database keeps are not there."""
    if connection.vendor == "postgresql":
        sql("SET LOCAL session_replication_role = replica")
        yield
        sql("SET LOCAL session_replication_role = origin")
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP TRIGGER {name}")
    yield
    install_products(connection)
    install_billing(connection)
