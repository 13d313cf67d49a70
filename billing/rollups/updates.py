"""Sums that pages read, kept by the door in its own transaction, and proved against the ledger.

`billing.rollups.definitions` computes the truth by the plain join; `rebuild` and `drift` compare with it.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple

from django.db import connection, transaction

from billing.db import bulk
from billing.events.run_state import JobBooking, KnownJob, KnownRun
from billing.events.usage_event import PURCHASE, REFUND, UsageEvent
from billing.models import CostSource
from billing.periods import month_of
from billing.rollups.definitions import (
    ALL,
    FINISHED_JOBS,
    WASTE,
    Rollup,
    expect_whole_tables,
    truth,
)
from products import agent_types as naming
from products.models import Project

Sums = dict[str, int]
_UNPRICED = CostSource.UNPRICED.value
_SPEND = ("cost_nanos", "input_tokens", "output_tokens", "transactions")


def _sums() -> defaultdict[Any, Sums]:
    return defaultdict(lambda: defaultdict(int))


class Changes:
    """What a batch adds to each rollup. Keys hold slugs and run objects until their rows have ids."""

    def __init__(self) -> None:
        self.by_agent_type: defaultdict[tuple[date, str], Sums] = _sums()
        self.by_month: defaultdict[date, Sums] = _sums()
        self.by_day: defaultdict[date, Sums] = _sums()
        self.by_day_and_agent_type: defaultdict[tuple[date, str], Sums] = _sums()
        self.by_run: defaultdict[tuple[date, KnownRun], Sums] = _sums()
        self.credits: defaultdict[date, Sums] = _sums()
        self.by_unpriced_model: defaultdict[tuple[date, str], Sums] = _sums()
        self._spent: dict[tuple[date, KnownJob], list[int]] = {}
        """Cost, input and output tokens, transactions: kept by job and day until `fold`, for most of a
        job's lines fall on one day, and each sum of every rollup is then added to once for all of them."""

    def book(self, event: UsageEvent, job: KnownJob | None, day: date, nanos: int, source: str) -> None:
        """A new row of the ledger."""
        if job is None:
            kind = "purchased_nanos" if event.kind == PURCHASE else "granted_nanos"
            _add(self.credits[month_of(day)], {kind: nanos, "transactions": 1})
            return
        tokens = event.tokens
        spent = self._spent.setdefault((day, job), [0, 0, 0, 0])
        spent[0] += -nanos if event.kind == REFUND else nanos
        spent[1] += tokens.all_input
        spent[2] += tokens.output
        spent[3] += 1
        if source == _UNPRICED:
            month = month_of(day)
            self.by_agent_type[month, job.agent_type or naming.OTHER]["unpriced"] += 1
            counts = {"transactions": 1, "input_tokens": tokens.all_input, "output_tokens": tokens.output}
            _add(self.by_unpriced_model[month, event.model], counts)

    def fold(self) -> None:
        """Bring what was booked into the rollups' sums."""
        for (day, job), sums in self._spent.items():
            month, spend = month_of(day), dict(zip(_SPEND, sums, strict=True))
            _add(self.by_month[month], spend)
            _add(self.by_day[day], spend)
            _add(self.by_run[month, job.run], spend)
            self._spend(day, job.agent_type or naming.OTHER, job.status, spend)
        self._spent.clear()

    def _spend(self, day: date, agent_type: str, status: str, spend: Sums) -> None:
        """What is spent on a job of a status, by its agent type."""
        of_month = self.by_agent_type[month_of(day), agent_type]
        _add(of_month, spend)
        _add(self.by_day_and_agent_type[day, agent_type], spend)
        if status in WASTE:
            of_month[WASTE[status]] += spend["cost_nanos"]

    def correct(self, correction: "Correction") -> None:
        """A line that books the missing cost of an unpriced deduction."""
        month = month_of(correction.day)
        spend = {"cost_nanos": correction.nanos, "transactions": 1}
        _add(self.by_month[month], spend)
        _add(self.by_day[correction.day], spend)
        _add(self.by_run[month, correction.run], spend)
        self._spend(correction.day, correction.agent_type, correction.job_status, spend)
        self.by_agent_type[month, correction.agent_type]["unpriced"] -= 1
        gone = {
            "transactions": -1,
            "input_tokens": -correction.input_tokens,
            "output_tokens": -correction.output_tokens,
        }
        _add(self.by_unpriced_model[month, correction.model], gone)

    def months_of_spend(self) -> set[date]:
        return {month for (month, _), sums in self.by_agent_type.items() if sums.get("cost_nanos")}

    def count_job(self, before: JobBooking | None, after: JobBooking) -> None:
        """A job's finish, or its status, agent type or day having moved."""
        for booking, sign in ((before, -1), (after, 1)):
            if booking and booking.finished_on:
                day, slug = booking.finished_on, booking.agent_type
                self.by_month[month_of(day)]["jobs"] += sign
                self.by_day[day]["jobs"] += sign
                self.by_day_and_agent_type[day, slug]["jobs"] += sign
                self.by_agent_type[month_of(day), slug][FINISHED_JOBS[booking.status]] += sign

    def move(self, booked: Iterable[dict[str, Any]], before: JobBooking, after: JobBooking) -> None:
        """A job turns out to be another agent's, or to have failed: what is booked on it moves along."""
        for row in booked:
            day = row["billed_on"]
            for booking, sign in ((before, -1), (after, 1)):
                spend = {
                    "cost_nanos": sign * (row["spent"] - row["refunded"]),
                    "input_tokens": sign * row["input"],
                    "output_tokens": sign * row["output"],
                    "transactions": sign * row["transactions"],
                }
                self._spend(day, booking.agent_type, booking.status, spend)
                self.by_agent_type[month_of(day), booking.agent_type]["unpriced"] += sign * row["unpriced"]


@dataclass(frozen=True)
class Correction:
    """A missing cost: whose it is, and the tokens of the deduction that is no longer unpriced."""

    run: KnownRun
    agent_type: str
    job_status: str
    day: date
    nanos: int
    model: str
    input_tokens: int
    output_tokens: int


def _add(sums: Sums, more: Sums) -> None:
    for name, value in more.items():
        sums[name] += value


def add(project: Project, agent_types: Any, changes: Changes) -> None:
    """Write a batch's changes, in the ledger's transaction."""
    changes.fold()
    tables: tuple[dict[Any, Sums], ...] = (
        {(month, agent_types.id_of(slug)): sums for (month, slug), sums in changes.by_agent_type.items()},
        {(month,): sums for month, sums in changes.by_month.items()},
        {(day,): sums for day, sums in changes.by_day.items()},
        {(day, agent_types.id_of(slug)): sums for (day, slug), sums in changes.by_day_and_agent_type.items()},
        {(run.pk, month): sums for (month, run), sums in changes.by_run.items()},
        {(month,): sums for month, sums in changes.credits.items()},
        dict(changes.by_unpriced_model),
    )
    with bulk.without_waiting():
        emptied = [
            rollup for rollup, table in zip(ALL, tables, strict=True) if _add_rows(project, rollup, table)
        ]
    for rollup in emptied:
        _drop_empty(project, rollup)


def _add_rows(project: Project, rollup: Rollup, table: dict[tuple[Any, ...], Sums]) -> bool:
    """Whether some row may count nothing any more."""
    rows = [
        (project.pk, *key, *(sums.get(name, 0) for name in rollup.sums))
        for key, sums in sorted(table.items())
        if any(sums.values())
    ]
    bulk.add(rollup.model, ("project_id", *rollup.keys), rollup.sums, rows)
    return any(value < 0 for row in rows for value in row[1 + len(rollup.keys) :])


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
        project.renew()  # first, as writers do: its row, then the tables
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
