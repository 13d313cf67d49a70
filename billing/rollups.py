"""Sums that pages read, kept by the door in its own transaction, and proved against the ledger.

The truth is what `billing.truth` computes by the plain join; `rebuild` and `drift` hold the tables to it.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple

from django.db import connection, transaction

from billing import bulk
from billing.events import PURCHASE, REFUND, UsageEvent
from billing.known import JobBooking, KnownJob, KnownRun
from billing.periods import month_of
from billing.truth import ALL, FINISHED_JOBS, Rollup, expect_whole_tables, truth
from products import agent_types as naming
from products.models import Project

Sums = dict[str, int]


def _sums() -> defaultdict[Any, Sums]:
    return defaultdict(lambda: defaultdict(int))


class Changes:
    """What a batch adds to each rollup. Keys hold slugs and run objects until their rows have ids."""

    def __init__(self) -> None:
        self.by_agent_type: defaultdict[tuple[date, str], Sums] = _sums()
        self.by_day: defaultdict[date, Sums] = _sums()
        self.by_run: defaultdict[tuple[date, KnownRun], Sums] = _sums()
        self.credits: defaultdict[date, Sums] = _sums()
        self.by_unpriced_model: defaultdict[tuple[date, str], Sums] = _sums()

    def book(self, event: UsageEvent, job: KnownJob | None, day: date, nanos: int, source: str) -> None:
        """A new row of the ledger."""
        month = month_of(day)
        if job is None:
            kind = "purchased_nanos" if event.kind == PURCHASE else "granted_nanos"
            _add(self.credits[month], {kind: nanos, "transactions": 1})
            return
        spend = {
            "cost_nanos": -nanos if event.kind == REFUND else nanos,
            "input_tokens": event.tokens.all_input,
            "output_tokens": event.tokens.output,
            "transactions": 1,
        }
        _add(self.by_day[day], spend)
        _add(self.by_run[month, job.run], spend)
        by_agent_type = self.by_agent_type[month, job.agent_type or naming.OTHER]
        _add(by_agent_type, spend)
        if source == "unpriced":
            by_agent_type["unpriced"] += 1
            counts = {name: spend[name] for name in ("transactions", "input_tokens", "output_tokens")}
            _add(self.by_unpriced_model[month, event.model], counts)

    def correct(
        self, job: tuple[KnownRun, str], day: date, nanos: int, model: str, counts: tuple[int, int]
    ) -> None:
        """A line that books the missing cost of an unpriced deduction.

        `job` is its run and agent type; `counts` are the input and output tokens of the deduction,
        whose model is no longer an unpriced one.
        """
        run, slug = job
        month = month_of(day)
        for sums in (self.by_agent_type[month, slug], self.by_day[day], self.by_run[month, run]):
            _add(sums, {"cost_nanos": nanos, "transactions": 1})
        self.by_agent_type[month, slug]["unpriced"] -= 1
        into, out = counts
        gone = {"transactions": -1, "input_tokens": -into, "output_tokens": -out}
        _add(self.by_unpriced_model[month, model], gone)

    def count_job(self, before: JobBooking | None, after: JobBooking) -> None:
        """A job's finish, or its status, agent type or day having moved."""
        for booking, sign in ((before, -1), (after, 1)):
            if booking and booking.finished_on:
                self.by_day[booking.finished_on]["jobs"] += sign
                key = month_of(booking.finished_on), booking.agent_type
                self.by_agent_type[key][FINISHED_JOBS[booking.status]] += sign

    def move(self, booked: Iterable[dict[str, Any]], job: KnownJob) -> None:
        """A job turns out to be another agent's: what is booked on it goes to the other's rows."""
        assert job.before
        for row in booked:
            month = month_of(row["billed_on"])
            for slug, sign in ((job.before.agent_type, -1), (job.agent_type or naming.OTHER, 1)):
                sums = self.by_agent_type[month, slug]
                sums["cost_nanos"] += sign * (row["spent"] - row["refunded"])
                sums["input_tokens"] += sign * row["input"]
                sums["output_tokens"] += sign * row["output"]
                sums["transactions"] += sign * row["transactions"]
                sums["unpriced"] += sign * row["unpriced"]


def _add(sums: Sums, more: Sums) -> None:
    for name, value in more.items():
        sums[name] += value


def add(project: Project, agent_types: Any, changes: Changes) -> None:
    """Write a batch's changes, in the ledger's transaction."""
    by_agent_type = {
        (month, agent_types.id_of(slug)): sums for (month, slug), sums in changes.by_agent_type.items()
    }
    by_run = {(run.pk, month): sums for (month, run), sums in changes.by_run.items()}
    by_day = {(day,): sums for day, sums in changes.by_day.items()}
    credits_ = {(month,): sums for month, sums in changes.credits.items()}
    tables: tuple[dict[Any, Sums], ...] = (
        *(by_agent_type, by_day, by_run),
        *(credits_, dict(changes.by_unpriced_model)),
    )
    for rollup, table in zip(ALL, tables, strict=True):
        _add_rows(project, rollup, table)


def _add_rows(project: Project, rollup: Rollup, table: dict[tuple[Any, ...], Sums]) -> None:
    rows = [
        (project.pk, *key, *(sums.get(name, 0) for name in rollup.sums))
        for key, sums in sorted(table.items())
        if any(sums.values())
    ]
    bulk.add(rollup.model, ("project_id", *rollup.keys), rollup.sums, rows)
    if any(value < 0 for row in rows for value in row[1 + len(rollup.keys) :]):
        _drop_empty(project, rollup)


def _drop_empty(project: Project, rollup: Rollup) -> None:
    """Rows that count nothing any more go, so that rollups are a function of the set of events."""
    rollup.model._default_manager.filter(project=project, **dict.fromkeys(rollup.sums, 0)).delete()


class Difference(NamedTuple):
    """A row of a rollup that is not what the ledger says; None where one of the two has no such row."""

    rollup: str
    key: tuple[Any, ...]
    stored: tuple[int, ...] | None
    true: tuple[int, ...] | None


def rebuild(project: Project) -> None:
    """Make a project's rollups anew from the ledger, under a lock that lets no writer in between."""
    with transaction.atomic():
        lock_tables()
        expect_whole_tables()
        for rollup in ALL:
            rollup.model._default_manager.filter(project=project).delete()
            rows = ((project.pk, *key, *sums) for key, sums in truth(project, rollup))
            # A part at a time: no connection can read the truth while it is amid a COPY.
            while part := list(islice(rows, 10_000)):
                bulk.insert(rollup.model, ("project_id", *rollup.keys, *rollup.sums), part)


def lock_tables() -> None:
    """Keep writers out until the transaction ends; SQLite's is IMMEDIATE and does so already."""
    if connection.vendor == "postgresql":
        tables = ", ".join(connection.ops.quote_name(rollup.model._meta.db_table) for rollup in ALL)
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {tables} IN EXCLUSIVE MODE")


def drift(project: Project) -> Iterator[Difference]:
    """Every row in which a rollup and the three-table join differ, in memory that does not grow."""
    for rollup in ALL:
        stored = ((key, "stored", sums) for key, sums in _stored(project, rollup))
        true = ((key, "true", sums) for key, sums in truth(project, rollup))
        for key, group in groupby(heapq.merge(stored, true, key=itemgetter(0)), key=itemgetter(0)):
            found = {side: sums for _, side, sums in group}
            if found.get("stored") != found.get("true"):
                yield Difference(rollup.name, key, found.get("stored"), found.get("true"))


def _stored(project: Project, rollup: Rollup) -> Iterator[tuple[tuple[Any, ...], tuple[int, ...]]]:
    rows = rollup.model._default_manager.filter(project=project).order_by(*rollup.keys)
    width = len(rollup.keys)
    for row in rows.values_list(*rollup.keys, *rollup.sums).iterator(chunk_size=10_000):
        yield row[:width], row[width:]
