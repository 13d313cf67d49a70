"""Raw SQL that bypasses the ledger writer, as from a careless person with a database console."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from billing.db.triggers import install_billing
from products.db.triggers import install_products
from tests import citus


def sql(statement: str, *params: Any) -> int:
    """Execute a statement; return how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return int(cursor.rowcount)


@contextmanager
def refused(match: str) -> Iterator[None]:
    """The database refuses the statements inside; the test's own transaction continues.

    A cluster wraps another machine's error about a COPY in an error of its own. It also refuses, for its own
    reasons, to move a row from one project to another and to MERGE rows on several machines.
    """
    error: type[DatabaseError] = IntegrityError
    if citus.in_use():
        error, match = DatabaseError, f"{match}|modifying the partition value|join operation is missing"
    with pytest.raises(error, match=match), transaction.atomic():
        yield


@contextmanager
def guards_lifted() -> Iterator[None]:
    """Switch off triggers and foreign keys inside the current transaction."""
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
