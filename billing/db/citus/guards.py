"""Whether every shard of the ledger has the trigger that keeps it append-only."""

from collections.abc import Iterator

from django.db.backends.base.base import BaseDatabaseWrapper

from billing.db.citus import catalog
from billing.db.triggers import LEDGER, TRIGGERS

_COUNT_TRIGGERS = """
    SELECT count(*) FROM pg_trigger
    WHERE tgrelid = '%s'::regclass AND tgname LIKE '{name}%%' AND tgenabled <> 'D'"""


def missing_guards(connection: BaseDatabaseWrapper) -> Iterator[str]:
    if catalog.is_distributed(connection):
        guarded, shards = guarded_shards(connection)
        if guarded < shards:
            yield f"the trigger is missing in {shards - guarded} of {shards} parts of the ledger"


def how_guarded(connection: BaseDatabaseWrapper) -> str:
    """Where the triggers are that keep the ledger append-only; empty if the tables are not distributed."""
    if not catalog.is_distributed(connection):
        return ""
    guarded, shards = guarded_shards(connection)
    return (
        f"UPDATE and DELETE of the ledger are refused by a trigger in {guarded} of its {shards} parts, "
        "TRUNCATE by one at the coordinator."
    )


def guarded_shards(connection: BaseDatabaseWrapper) -> tuple[int, int]:
    """The number of the ledger's shards with an enabled trigger, and the number of its shards.

    Citus creates the trigger on new copies of a shard, too, as when a shard is moved.
    """
    query = "SELECT success, result FROM run_command_on_shards(%s, %s)"
    [name, *_] = TRIGGERS["postgresql"]
    answers = catalog.rows(connection, query, LEDGER, _COUNT_TRIGGERS.format(name=name))
    return sum(succeeded and count == "1" for succeeded, count in answers), len(answers)
