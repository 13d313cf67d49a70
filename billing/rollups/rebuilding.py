"""Compare a project's rollups with the ledger, and rebuild them from it.

`billing.rollups.definitions` computes from the ledger what the rollups must hold.
"""

import heapq
from collections.abc import Iterator
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple

from django.db import connection, transaction

from billing.db import bulk
from billing.rollups.definitions import ALL, Rollup, Row, expect_whole_tables, truth
from products.models import Project


class Difference(NamedTuple):
    """A rollup's row that disagrees with the ledger; None on the side that has no such row."""

    rollup: str
    key: tuple[Any, ...]
    stored: tuple[int, ...] | None
    true: tuple[int, ...] | None


def rebuild(project: Project) -> None:
    """Replace a project's rollups by what the ledger says, and keep all writers out meanwhile."""
    with transaction.atomic():
        project.renew_version()  # writers, too, lock the project's row before the tables
        lock_tables()
        expect_whole_tables()
        for rollup in ALL:
            rollup.model._default_manager.filter(project=project).delete()
            rows = ((project.pk, *key, *sums) for key, sums in truth(project, rollup))
            # In parts: a connection can't read the ledger while it is in the middle of a COPY.
            while part := list(islice(rows, 10_000)):
                bulk.insert(rollup.model, ("project_id", *rollup.keys, *rollup.sums), part)


def lock_tables() -> None:
    """Keep writers out until the transaction ends. On SQLite the IMMEDIATE transaction does so already."""
    if connection.vendor == "postgresql":
        tables = ", ".join(connection.ops.quote_name(rollup.model._meta.db_table) for rollup in ALL)
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {tables} IN EXCLUSIVE MODE")


def drift(project: Project) -> Iterator[Difference]:
    """Every row in which a rollup and the three-table join differ; both are read as streams."""
    for rollup in ALL:
        stored = ((key, "stored", sums) for key, sums in _stored(project, rollup))
        true = ((key, "true", sums) for key, sums in truth(project, rollup))
        for key, group in groupby(heapq.merge(stored, true, key=itemgetter(0)), key=itemgetter(0)):
            found = {side: sums for _, side, sums in group}
            if found.get("stored") != found.get("true"):
                yield Difference(rollup.name, key, found.get("stored"), found.get("true"))


def _stored(project: Project, rollup: Rollup) -> Iterator[Row]:
    rows = rollup.model._default_manager.filter(project=project).order_by(*rollup.keys)
    width = len(rollup.keys)
    for row in rows.values_list(*rollup.keys, *rollup.sums).iterator(chunk_size=10_000):
        yield row[:width], row[width:]
