"""Rules that the database itself keeps, on SQLite and PostgreSQL, whoever writes to it.

They are installed after each `migrate`, on PostgreSQL by a migration, too. SQLite remakes a table to
alter it, which loses the table's triggers and fails while a trigger of another table names it; so
there the guards are lifted before each `migrate`.
"""

from django.db.backends.base.base import BaseDatabaseWrapper

Statements = dict[str, list[str]]
"""SQL by database vendor, each statement safe to run twice."""


def install(connection: BaseDatabaseWrapper, statements: Statements) -> None:
    with connection.cursor() as cursor:
        for statement in statements[connection.vendor]:
            cursor.execute(statement)


def lift_for_migrations(connection: BaseDatabaseWrapper, app: str) -> None:
    """Take an app's triggers away on SQLite; `migrate` ends with their installation."""
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in cursor.fetchall():
            if name.startswith(f"{app}_"):
                cursor.execute(f"DROP TRIGGER {name}")


def postgresql_trigger(name: str, table: str, events: str, each: str, body: str, when: str = "") -> list[str]:
    """A trigger with a function of its own; `body` is PL/pgSQL."""
    return [
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$",
        f"CREATE OR REPLACE TRIGGER {name} BEFORE {events} ON {table} "
        f"FOR EACH {each} {when} EXECUTE FUNCTION {name}()",
    ]


def postgresql_foreign_key(name: str, table: str, columns: str, parent: str, parent_columns: str) -> str:
    """Checked at once: a deferred check costs the ledger's writers several times as much."""
    return (
        f"DO $$ BEGIN ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({columns}) "
        f"REFERENCES {parent} ({parent_columns}); EXCEPTION WHEN duplicate_object THEN NULL; END $$"
    )


def sqlite_trigger(name: str, table: str, events: str, when: str, message: str) -> str:
    condition = f"WHEN {when} " if when else ""
    return (
        f"CREATE TRIGGER IF NOT EXISTS {name} BEFORE {events} ON {table} FOR EACH ROW {condition}"
        f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )


def references(name: str, table: str, column: str, parent: str, *, same_project: bool = True) -> Statements:
    """`column` of `table` is the id of a row of `parent`, of the same project where both have one."""
    columns, keys = (f"project_id, {column}", "project_id, id") if same_project else (column, "id")
    return {
        "postgresql": [postgresql_foreign_key(name, table, columns, parent, keys)],
        "sqlite": _sqlite_foreign_key(name, table, column, parent, same_project),
    }


def _sqlite_foreign_key(name: str, table: str, column: str, parent: str, same_project: bool) -> list[str]:
    """SQLite adds no foreign key to a table that exists."""
    of_parent = " AND project_id = NEW.project_id" if same_project else ""
    of_child = "project_id = OLD.project_id AND " if same_project else ""
    orphan = (
        f"NEW.{column} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {parent} WHERE id = NEW.{column}{of_parent})"
    )
    has_child = f"EXISTS (SELECT 1 FROM {table} WHERE {of_child}{column} = OLD.id)"
    keys, moved = "id", "NEW.id <> OLD.id"
    if same_project:
        keys, moved = f"project_id, {keys}", f"NEW.project_id <> OLD.project_id OR {moved}"
    message = f"FOREIGN KEY constraint failed: {table}.{column}"
    return [
        sqlite_trigger(f"{name}_insert", table, "INSERT", orphan, message),
        sqlite_trigger(f"{name}_update", table, f"UPDATE OF project_id, {column}", orphan, message),
        sqlite_trigger(f"{name}_parent", parent, "DELETE", has_child, message),
        sqlite_trigger(
            f"{name}_parent_key", parent, f"UPDATE OF {keys}", f"({moved}) AND {has_child}", message
        ),
    ]


_ZONE_IS_FIXED = "the billing zone of a project with usage is fixed"
_ZONE_CHANGES = (
    "OLD.first_usage_at IS NOT NULL AND (NEW.time_zone <> OLD.time_zone OR NEW.first_usage_at IS NULL)"
)
FIXED_ZONE: Statements = {
    "postgresql": postgresql_trigger(
        "products_project_zone",
        "products_project",
        "UPDATE",
        "ROW",
        f"RAISE EXCEPTION '{_ZONE_IS_FIXED}' USING ERRCODE = 'check_violation';",
        f"WHEN ({_ZONE_CHANGES})",
    ),
    "sqlite": [
        sqlite_trigger("products_project_zone", "products_project", "UPDATE", _ZONE_CHANGES, _ZONE_IS_FIXED)
    ],
}

_UNCHANGEABLE = ("at", "kind", "who_name", "address", "detail")
AUDIT_TABLE = "products_auditentry"
AUDIT_EVENTS = f"UPDATE OF {', '.join(_UNCHANGEABLE)}"
AUDIT_REFUSAL = "the audit log is append-only"


AUDIT: Statements = {
    "postgresql": postgresql_trigger(
        "products_audit_append_only",
        AUDIT_TABLE,
        AUDIT_EVENTS,
        "STATEMENT",
        f"RAISE EXCEPTION '{AUDIT_REFUSAL}' USING ERRCODE = 'integrity_constraint_violation';",
    ),
    "sqlite": [
        sqlite_trigger("products_audit_append_only", AUDIT_TABLE, AUDIT_EVENTS, "", AUDIT_REFUSAL),
    ],
}
"""Old entries are dropped, and of those that count the count grows; what an entry says stays."""

GUARDS = [
    FIXED_ZONE,
    references(
        "products_run_project", "products_pipelinerun", "project_id", "products_project", same_project=False
    ),
    references("products_job_run", "products_agentjob", "run_id", "products_pipelinerun"),
    references("products_job_type", "products_agentjob", "agent_type_id", "products_agenttype"),
]


def install_products(connection: BaseDatabaseWrapper) -> None:
    for guard in GUARDS:
        install(connection, guard)
    # Not there yet while the first migrations run.
    if AUDIT_TABLE in connection.introspection.table_names():
        install(connection, AUDIT)
