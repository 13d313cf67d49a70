"""The tables spread over several machines, by PostgreSQL's extension Citus.

Whatever belongs to a project lives where the project lives: its tables are cut by the project's id into
shards that lie together, so that a question about one project is answered by one machine, with the same
SQL as ever. Django goes on believing in `id`; the primary key in the database becomes (project, id).
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from billing.db.triggers import APPEND_ONLY, LEDGER, TRIGGERS
from products.db.triggers import FIXED_ZONE

PROJECT = "products_project"
BY_PROJECT = (
    PROJECT,
    *("products_agenttype", "products_membership", "products_pipelinerun", "products_agentjob", LEDGER),
    *(
        "billing_monthlyspend",
        "billing_monthtotal",
        "billing_dailyspend",
        "billing_dailyagentspend",
        "billing_runspend",
    ),
    *("billing_monthlycredits", "billing_unpricedusage", "billing_tracespan", "billing_budgetreservation"),
    *("billing_billingsetting", "billing_budgetchange", "billing_priceoverride"),
    *("billing_alertsettings", "billing_budgetalert", "billing_alertdelivery"),
)
"""Each project's rows lie with it. Parents come before their children."""
EVERYWHERE = ("auth_user",)
"""Copied to every machine: rows by project refer to them."""
COORDINATOR = (
    *("auth_group", "auth_group_permissions", "auth_permission", "auth_user_groups"),
    *("auth_user_user_permissions", "django_admin_log", "django_content_type", "django_session"),
    *("axes_accessattempt", "axes_accessattemptexpiration", "axes_accessfailurelog", "axes_accesslog"),
    *("products_apitoken", "products_auditentry", "django_migrations"),
)
"""Stay where they are: who signs in and how, and what may be of no project."""

GUARDS = {PROJECT: FIXED_ZONE["postgresql"], LEDGER: APPEND_ONLY["postgresql"]}
"""Triggers of these tables, as statements."""

SHARDS = 32

# For every connection from then on: guards are triggers, which Citus makes on each shard but calls unsafe
# because one could ask for rows of another shard; limits of a transaction hold on the workers, too; and
# who has asked several shards may still change a table that is everywhere, as when a person is deleted.
SETTINGS = {
    "citus.enable_unsafe_triggers": "on",
    "citus.propagate_set_commands": "local",
    "citus.multi_shard_modify_mode": "sequential",
}


class NotPossible(Exception):
    """This database can't be spread over machines, or not yet; says why."""


@dataclass(frozen=True)
class _ForeignKey:
    name: str
    table: str
    columns: tuple[str, ...]
    parent: str
    definition: str
    deferred: bool


def distribute(connection: BaseDatabaseWrapper, *, shards: int = SHARDS) -> list[str]:
    """Place every table that has no place yet, all or none; the statements that did it."""
    with transaction.atomic(using=connection.alias):
        statements = plan(connection, shards=shards)
        _execute(connection, statements)
    return statements


def place(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """For a migration that makes a table of `BY_PROJECT`: `RunPython` it right after that.

    On a cluster that is spread already the table can refer to projects only once it lies with them.
    """
    connection = schema_editor.connection
    if distributed(connection):
        _execute(connection, _statements(connection, SHARDS))


def plan(connection: BaseDatabaseWrapper, *, shards: int = SHARDS) -> list[str]:
    """The statements that are still to be executed; none where everything has its place."""
    _check(connection)
    return _statements(connection, shards)


def _execute(connection: BaseDatabaseWrapper, statements: Iterable[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _statements(connection: BaseDatabaseWrapper, shards: int) -> list[str]:
    waiting = set(connection.introspection.table_names()) - _placed(connection)
    new = [table for table in BY_PROJECT if table in waiting]
    copied = [table for table in EVERYWHERE if table in waiting]
    if not new and not copied:
        return []
    keys = [key for key in _foreign_keys(connection) if key.table in new or key.parent in new]
    return [
        *_settings(connection),
        *(f"DROP TRIGGER {name} ON {table}" for table, name in _triggers(connection, new)),
        *(f"ALTER TABLE {key.table} DROP CONSTRAINT {key.name}" for key in keys),
        *(statement for table in copied for statement in _copy(connection, table)),
        *(statement for table in new for statement in _spread(connection, table, shards)),
        *(_kept(key) for key in keys if key.table in BY_PROJECT),
        *(statement for table in new for statement in GUARDS.get(table, ())),
    ]


def distributed(connection: BaseDatabaseWrapper) -> bool:
    return connection.vendor == "postgresql" and _has_citus(connection) and LEDGER in _placed(connection)


def guarded_shards(connection: BaseDatabaseWrapper) -> tuple[int, int]:
    """In how many of the ledger's parts the trigger that keeps it append-only is in force, and how many
    there are. Citus makes it on every new copy of a part, too, such as one that was moved."""
    query = "SELECT success, result FROM run_command_on_shards(%s, %s)"
    [name, *_] = TRIGGERS["postgresql"]
    looked = _rows(connection, query, LEDGER, _COUNT_GUARDS.format(name=name))
    return sum(done and found == "1" for done, found in looked), len(looked)


_COUNT_GUARDS = """
    SELECT count(*) FROM pg_trigger
    WHERE tgrelid = '%s'::regclass AND tgname LIKE '{name}%%' AND tgenabled <> 'D'"""


def _check(connection: BaseDatabaseWrapper) -> None:
    if connection.vendor != "postgresql":
        raise NotPossible(
            f"This needs PostgreSQL with the extension citus, and the database is {connection.vendor}."
        )
    if not _has_citus(connection):
        raise NotPossible(
            "This PostgreSQL has not the extension citus: install it on every machine, name it in "
            "shared_preload_libraries, and CREATE EXTENSION citus in this database on each of them."
        )
    [(coordinator, workers)] = _rows(
        connection,
        "SELECT count(*) FILTER (WHERE groupid = 0), "
        "count(*) FILTER (WHERE groupid <> 0 AND shouldhaveshards) FROM pg_dist_node "
        "WHERE isactive AND noderole = 'primary'",
    )
    if not coordinator:
        raise NotPossible("The coordinator has no address yet: SELECT citus_set_coordinator_host('…').")
    if not workers:
        raise NotPossible("The cluster has no worker yet: SELECT citus_add_node('…', 5432).")
    missing = {*BY_PROJECT, *EVERYWHERE} - set(connection.introspection.table_names())
    if missing:
        raise NotPossible(f"Run `manage.py migrate` first: {', '.join(sorted(missing))} is missing.")


def _has_citus(connection: BaseDatabaseWrapper) -> bool:
    return bool(_rows(connection, "SELECT 1 FROM pg_extension WHERE extname = 'citus'"))


def _rows(connection: BaseDatabaseWrapper, query: str, *params: Any) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return list(cursor.fetchall())


def _placed(connection: BaseDatabaseWrapper) -> set[str]:
    """Distributed and reference tables."""
    query = (
        "SELECT logicalrelid::regclass::text FROM pg_dist_partition WHERE partmethod = 'h' OR repmodel = 't'"
    )
    return {table for (table,) in _rows(connection, query)}


def _settings(connection: BaseDatabaseWrapper) -> Iterator[str]:
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    for setting, value in SETTINGS.items():
        yield f"ALTER DATABASE {name} SET {setting} = '{value}'"
        yield f"SET LOCAL {setting} = '{value}'"


def _foreign_keys(connection: BaseDatabaseWrapper) -> list[_ForeignKey]:
    query = """
        SELECT conname, conrelid::regclass::text, array_agg(attname::text ORDER BY place),
            confrelid::regclass::text, pg_get_constraintdef(c.oid), condeferrable
        FROM pg_constraint c
        CROSS JOIN unnest(conkey) WITH ORDINALITY AS k(attnum, place)
        JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.attnum
        WHERE contype = 'f' AND connamespace = current_schema()::regnamespace
        GROUP BY c.oid ORDER BY 2, 1"""
    return [
        _ForeignKey(name, table, tuple(columns), parent, definition, deferred)
        for name, table, columns, parent, definition, deferred in _rows(connection, query)
    ]


def _triggers(connection: BaseDatabaseWrapper, tables: Collection[str]) -> list[tuple[str, str]]:
    query = (
        "SELECT tgrelid::regclass::text, tgname::text FROM pg_trigger "
        "WHERE NOT tgisinternal AND tgrelid::regclass::text = ANY(%s) ORDER BY 1, 2"
    )
    return [(table, name) for table, name in _rows(connection, query, [*tables])]


def _copy(connection: BaseDatabaseWrapper, table: str) -> Iterator[str]:
    yield f"SELECT create_reference_table('{table}')"


def _spread(connection: BaseDatabaseWrapper, table: str, shards: int) -> Iterator[str]:
    column = "id" if table == PROJECT else "project_id"
    yield from _key_by_project(connection, table, column)
    place = f"shard_count => {shards}" if table == PROJECT else f"colocate_with => '{PROJECT}'"
    yield f"SELECT create_distributed_table('{table}', '{column}', {place})"
    yield f"SELECT truncate_local_data_after_distributing_table('{table}')"


def _key_by_project(connection: BaseDatabaseWrapper, table: str, column: str) -> Iterator[str]:
    """A unique constraint on project and id, where there is one already, becomes the primary key."""
    query = """
        SELECT contype::text, conname::text, array_agg(attname::text ORDER BY place)
        FROM pg_constraint c
        CROSS JOIN unnest(conkey) WITH ORDINALITY AS k(attnum, place)
        JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.attnum
        WHERE contype IN ('p', 'u') AND conrelid = %s::regclass
        GROUP BY c.oid"""
    constraints = _rows(connection, query, table)
    [(primary, columns)] = [(name, columns) for kind, name, columns in constraints if kind == "p"]
    if column in columns:
        return
    wanted = [column, *columns]
    names = [name for _, name, unique in constraints if unique == wanted]
    for name in (primary, *names):
        yield f"ALTER TABLE {table} DROP CONSTRAINT {name}"
    yield f"ALTER TABLE {table} ADD CONSTRAINT {(*names, primary)[0]} PRIMARY KEY ({', '.join(wanted)})"


def _kept(key: _ForeignKey) -> str:
    """Between rows of one project the key names the project, too."""
    definition = key.definition
    if key.parent in BY_PROJECT and key.parent != PROJECT and "project_id" not in key.columns:
        [column] = key.columns
        later = " DEFERRABLE INITIALLY DEFERRED" if key.deferred else ""
        definition = f"FOREIGN KEY (project_id, {column}) REFERENCES {key.parent} (project_id, id){later}"
    return f"ALTER TABLE {key.table} ADD CONSTRAINT {key.name} {definition}"
