"""The tests' `flush`, the only code that drops the triggers which make the ledger append-only."""

from typing import Any

from django.core.management.commands.flush import Command as Flush
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from billing.db.triggers import LEDGER, install_billing
from products.db.triggers import install_products


class Command(Flush):
    def handle(self, **options: Any) -> None:
        connection = connections[options["database"]]
        _lift(connection)
        try:
            super().handle(**options)
        finally:
            install_products(connection)
            install_billing(connection)


def _lift(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"DROP TRIGGER IF EXISTS billing_ledger_append_only ON {LEDGER}")
            cursor.execute(f"DROP TRIGGER IF EXISTS billing_ledger_truncate ON {LEDGER}")
            return
        # SQLite empties one table after another, and its foreign keys are triggers, too.
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP TRIGGER {name}")
