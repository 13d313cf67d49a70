"""Place the tables on the machines of a cluster (`manage.py distribute`).

Tables of `BY_PROJECT` are cut into shards by the project's id, and shards with the same projects are on the
same machine. One machine can then answer a query about one project, and the SQL stays the same. Django still
takes `id` for the primary key; in the database it becomes (project, id).
"""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from billing.db.citus import catalog
from billing.db.citus.tables import BY_PROJECT, EVERYWHERE, GUARDS, PROJECT

SHARDS = 32

SETTINGS = {
    # Citus creates the guards on each shard, but calls triggers unsafe because they could query other shards.
    "citus.enable_unsafe_triggers": "on",
    # A transaction's limits, such as `lock_timeout`, hold on the workers, too.
    "citus.propagate_set_commands": "local",
    # A transaction that has queried several shards may still change a table that is on every machine, as
    # when a person is deleted.
    "citus.multi_shard_modify_mode": "sequential",
}
"""Set for the database, and so for every new connection."""


class CannotDistribute(Exception):
    """Why the tables of this database can't be distributed, or not yet."""


def distribute(connection: BaseDatabaseWrapper, *, shards: int = SHARDS) -> list[str]:
    """Place every table that has no place yet, all or none. Return the statements that were executed."""
    with transaction.atomic(using=connection.alias):
        statements = plan(connection, shards=shards)
        _execute(connection, statements)
    return statements


def place(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Place the table that a migration has just created: `RunPython` this right after `CreateModel`.

    If the tables are distributed already, a new table can refer to projects only once it is distributed, too.
    """
    connection = schema_editor.connection
    if catalog.is_distributed(connection):
        _execute(connection, _statements(connection, SHARDS))


def plan(connection: BaseDatabaseWrapper, *, shards: int = SHARDS) -> list[str]:
    """The statements that are still to be executed; none if every table has its place."""
    _check(connection)
    return _statements(connection, shards)


def _check(connection: BaseDatabaseWrapper) -> None:
    if connection.vendor != "postgresql":
        raise CannotDistribute(
            f"This needs PostgreSQL with the extension citus, and the database is {connection.vendor}."
        )
    if not catalog.has_citus(connection):
        raise CannotDistribute(
            "This PostgreSQL does not have the extension citus: install it on every machine, name it in "
            "shared_preload_libraries, and CREATE EXTENSION citus in this database on each of them."
        )
    coordinators, workers = catalog.machines(connection)
    if not coordinators:
        raise CannotDistribute("The coordinator has no address yet: SELECT citus_set_coordinator_host('…').")
    if not workers:
        raise CannotDistribute("The cluster has no worker yet: SELECT citus_add_node('…', 5432).")
    missing = {*BY_PROJECT, *EVERYWHERE} - set(connection.introspection.table_names())
    if missing:
        raise CannotDistribute(
            f"Run `manage.py migrate` first. These tables are missing: {', '.join(sorted(missing))}."
        )


def _execute(connection: BaseDatabaseWrapper, statements: Iterable[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _statements(connection: BaseDatabaseWrapper, shards: int) -> list[str]:
    waiting = set(connection.introspection.table_names()) - catalog.placed_tables(connection)
    new = [table for table in BY_PROJECT if table in waiting]
    copied = [table for table in EVERYWHERE if table in waiting]
    if not new and not copied:
        return []
    keys = [key for key in catalog.foreign_keys(connection) if key.table in new or key.parent in new]
    return [
        *_settings(connection),
        *(f"DROP TRIGGER {name} ON {table}" for table, name in catalog.triggers(connection, new)),
        *(f"ALTER TABLE {key.table} DROP CONSTRAINT {key.name}" for key in keys),
        *(f"SELECT create_reference_table('{table}')" for table in copied),
        *(statement for table in new for statement in _distribute_table(connection, table, shards)),
        *(_restore(key) for key in keys if key.table in BY_PROJECT),
        *(statement for table in new for statement in GUARDS.get(table, ())),
    ]


def _settings(connection: BaseDatabaseWrapper) -> Iterator[str]:
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    for setting, value in SETTINGS.items():
        yield f"ALTER DATABASE {name} SET {setting} = '{value}'"
        yield f"SET LOCAL {setting} = '{value}'"


def _distribute_table(connection: BaseDatabaseWrapper, table: str, shards: int) -> Iterator[str]:
    column = "id" if table == PROJECT else "project_id"
    yield from _add_project_to_primary_key(connection, table, column)
    placed = f"shard_count => {shards}" if table == PROJECT else f"colocate_with => '{PROJECT}'"
    yield f"SELECT create_distributed_table('{table}', '{column}', {placed})"
    yield f"SELECT truncate_local_data_after_distributing_table('{table}')"


def _add_project_to_primary_key(connection: BaseDatabaseWrapper, table: str, column: str) -> Iterator[str]:
    """Citus wants the project in every key. An existing unique constraint on project and id takes the place
    of the primary key, so that there is one index and not two."""
    keys = catalog.unique_keys(connection, table)
    [primary] = [key for key in keys if key.primary]
    if column in primary.columns:
        return
    columns = (column, *primary.columns)
    same = [key.name for key in keys if key.columns == columns]
    for name in (primary.name, *same):
        yield f"ALTER TABLE {table} DROP CONSTRAINT {name}"
    name = (*same, primary.name)[0]
    yield f"ALTER TABLE {table} ADD CONSTRAINT {name} PRIMARY KEY ({', '.join(columns)})"


def _restore(key: catalog.ForeignKey) -> str:
    """Add the foreign key again; between rows of one project it names the project, too."""
    definition = key.definition
    if key.parent in BY_PROJECT and key.parent != PROJECT and "project_id" not in key.columns:
        [column] = key.columns
        deferred = " DEFERRABLE INITIALLY DEFERRED" if key.deferrable else ""
        definition = f"FOREIGN KEY (project_id, {column}) REFERENCES {key.parent} (project_id, id){deferred}"
    return f"ALTER TABLE {key.table} ADD CONSTRAINT {key.name} {definition}"
