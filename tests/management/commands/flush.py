"""The tests' `flush`, the only code that goes past the triggers which make the ledger append-only.

It empties only tables with rows: Django's own, which truncates all of them on PostgreSQL and fills those of
content types and permissions again, takes longer than most tests.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.commands.flush import Command as Flush
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from billing.db.triggers import LEDGER, install_billing
from products.db.triggers import install_products
from tests import citus

FILLED_BY_MIGRATE = {"auth_permission", "django_content_type", "django_migrations"}
"""No test changes them."""


class Command(Flush):
    def handle(self, **options: Any) -> None:
        connection = connections[options["database"]]
        if _can_ignore_triggers(connection):
            _empty(connection, "SET LOCAL session_replication_role = replica")
        elif connection.vendor == "sqlite":
            with _lifted_triggers(connection):
                _empty(connection)
        else:
            with _lifted_triggers(connection):
                super().handle(**options)


def _can_ignore_triggers(connection: BaseDatabaseWrapper) -> bool:
    """Only superusers of PostgreSQL can, and on a cluster they could only on one of its machines."""
    if connection.vendor != "postgresql" or citus.in_use():
        return False
    connection.ensure_connection()
    return bool(connection.connection.info.parameter_status("is_superuser") == "on")


def _empty(connection: BaseDatabaseWrapper, *first: str) -> None:
    tables = sorted(set(connection.introspection.table_names()) - FILLED_BY_MIGRATE)
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for statement in first:
            cursor.execute(statement)
        present = (f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {table})" for table in tables)
        cursor.execute(" UNION ALL ".join(present))
        for (table,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {table}")


@contextmanager
def _lifted_triggers(connection: BaseDatabaseWrapper) -> Iterator[None]:
    _drop_triggers(connection)
    try:
        yield
    finally:
        install_products(connection)
        install_billing(connection)


def _drop_triggers(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"DROP TRIGGER IF EXISTS billing_ledger_append_only ON {LEDGER}")
            cursor.execute(f"DROP TRIGGER IF EXISTS billing_ledger_truncate ON {LEDGER}")
            return
        # SQLite empties one table after another, and its foreign keys are triggers, too.
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP TRIGGER {name}")
