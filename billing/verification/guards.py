"""Check that the database's triggers keep the ledger append-only."""

from collections.abc import Iterator

from django.conf import settings
from django.db import connection

from billing.db import triggers


def missing_guards() -> Iterator[str]:
    """A line for each trigger that should keep the ledger append-only but is missing or disabled."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'")
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        present = {name for (name,) in cursor.fetchall()}
    for name in triggers.TRIGGERS[connection.vendor]:
        if name not in present:
            yield f"the trigger {name} is missing: the ledger can be changed"
    if settings.DISTRIBUTED:
        from billing.db.citus import guards

        yield from guards.missing_guards(connection)


def how_guarded() -> str:
    """How a cluster keeps the ledger append-only; "" on a single database."""
    if not settings.DISTRIBUTED:
        return ""
    from billing.db.citus import guards

    return guards.how_guarded(connection)
