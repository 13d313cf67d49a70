"""Triggers that make the ledger append-only in the database: they refuse UPDATE, DELETE and TRUNCATE."""

from django.db.backends.base.base import BaseDatabaseWrapper

from products.db.triggers import (
    Statements,
    install,
    postgresql_trigger,
    references,
    sqlite_trigger,
)

LEDGER = "billing_credittransaction"
REFUSAL = "the ledger is append-only"


def _refusing(name: str, events: str) -> list[str]:
    body = f"RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation';"
    return postgresql_trigger(name, LEDGER, events, "STATEMENT", body)


APPEND_ONLY: Statements = {
    "postgresql": [
        *_refusing("billing_ledger_append_only", "UPDATE OR DELETE"),
        # A separate trigger, because Citus allows none on TRUNCATE at the shards.
        *_refusing("billing_ledger_truncate", "TRUNCATE"),
    ],
    "sqlite": [
        sqlite_trigger("billing_ledger_update", LEDGER, "UPDATE", "", REFUSAL),
        sqlite_trigger("billing_ledger_delete", LEDGER, "DELETE", "", REFUSAL),
        # INSERT OR REPLACE deletes the existing row without firing the trigger on DELETE.
        sqlite_trigger(
            "billing_ledger_replace",
            LEDGER,
            "INSERT",
            f"EXISTS (SELECT 1 FROM {LEDGER} WHERE id = NEW.id "
            "OR (project_id = NEW.project_id AND event_id = NEW.event_id))",
            f"UNIQUE constraint failed: {REFUSAL}",
        ),
    ],
}

PARENTS = [
    references("billing_transaction_project", LEDGER, "project_id", "products_project", same_project=False),
    references("billing_transaction_job", LEDGER, "job_id", "products_agentjob"),
]
LINES = {
    "corrects_id": references(
        "billing_transaction_corrects", LEDGER, "corrects_id", LEDGER, same_project=False
    ),
    "adjusts_id": references("billing_transaction_adjusts", LEDGER, "adjusts_id", LEDGER, same_project=False),
}
"""Columns by which one line of the ledger refers to another."""


def install_billing(connection: BaseDatabaseWrapper) -> None:
    for guard in (APPEND_ONLY, *PARENTS):
        install(connection, guard)
    for column in _columns(connection) & LINES.keys():
        install(connection, LINES[column])


def _columns(connection: BaseDatabaseWrapper) -> set[str]:
    """The ledger's columns. A migration may have gone back to before the newest of them."""
    with connection.cursor() as cursor:
        described = connection.introspection.get_table_description(cursor, LEDGER)
    return {column.name for column in described}


TRIGGERS = {
    "postgresql": ["billing_ledger_append_only", "billing_ledger_truncate"],
    "sqlite": ["billing_ledger_update", "billing_ledger_delete", "billing_ledger_replace"],
}
"""The names that `verify_ledger` looks for."""
