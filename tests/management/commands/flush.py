"""The tests' `flush`: the only place where the guards that keep the ledger append-only are lifted."""

from typing import Any

from django.core.management.commands.flush import Command as Flush
from django.db import connections

from billing.guards import LEDGER, install_billing


class Command(Flush):
    def handle(self, **options: Any) -> None:
        connection = connections[options["database"]]
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("DROP TRIGGER IF EXISTS billing_ledger_append_only ON " + LEDGER)
            else:
                cursor.execute("DROP TRIGGER IF EXISTS billing_ledger_delete")
        try:
            super().handle(**options)
        finally:
            install_billing(connection)
