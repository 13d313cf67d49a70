"""Top runs and recent deductions: what stands out, and what happened last."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Case, F, Subquery, When

from aicost.queries.months import this_month
from billing import periods
from billing.models import CreditTransaction, RunSpend, corrections
from products.models import Project

TOP_RUNS = 5
RECENT = 50


@dataclass(frozen=True)
class RunCost:
    """A run with its spend: of one month among the top runs, of all time in lists of runs."""

    run_id: str
    status: str
    trigger: str
    started_at: datetime | None
    finished_at: datetime | None
    job_count: int
    tokens: int
    cost: int


def top_runs(project: Project, month: date | None = None) -> list[RunCost]:
    """The month's five costliest runs, ties by latest start, then run id."""
    rows = RunSpend.objects.filter(project=project, month=month or this_month(project)).order_by(
        "-cost_nanos", F("run__started_at").desc(nulls_last=True), "run__run_id"
    )
    found = rows.select_related("run").only(
        *("input_tokens", "output_tokens", "cost_nanos", "run__run_id", "run__status", "run__told_trigger"),
        *("run__started_at", "run__finished_at", "run__job_count"),
    )
    return [
        RunCost(
            run_id=row.run.run_id,
            status=row.run.status,
            trigger=row.run.trigger,
            started_at=row.run.started_at,
            finished_at=row.run.finished_at,
            job_count=row.run.job_count,
            tokens=row.input_tokens + row.output_tokens,
            cost=row.cost_nanos,
        )
        for row in found[:TOP_RUNS]
    ]


@dataclass(frozen=True)
class Deduction:
    """One line of the ledger with what it belongs to. Input tokens include cached ones."""

    event_id: str
    run_id: str
    job_id: str
    agent_type: str
    label: str
    color: str
    model: str
    input_tokens: int
    output_tokens: int
    cost: int
    """With the cost that was missing at first and has been booked since."""
    unpriced: bool
    occurred_at: datetime


def recent(project: Project, month: date | None = None) -> list[Deduction]:
    """The last 50 deductions, newest first; with `month` the newest 50 before its end."""
    rows = CreditTransaction.objects.deductions().filter(project=project)
    if month:
        rows = rows.filter(occurred_at__lt=periods.month_end(month, periods.zone(project.time_zone)))
    order = ("-occurred_at", "event_id")
    # Found first and joined then, by a question of its own: PostgreSQL would prepare a cache of jobs as if
    # all rows were joined, and within one question it may compare each row with each.
    found = list(rows.order_by(*order).values_list("pk", flat=True)[:RECENT])
    return deductions(CreditTransaction.objects.filter(project=project, pk__in=found).order_by(*order))


def newest(project: Project) -> datetime | None:
    """When the newest deduction happened."""
    rows = CreditTransaction.objects.deductions().filter(project=project).order_by("-occurred_at", "event_id")
    return rows.values_list("occurred_at", flat=True).first()


def deductions(rows: Any) -> list[Deduction]:
    """Ledger rows with their agent type and run; `rows` is a queryset of deductions as told."""
    return [_deduction(row) for row in _columns(rows)]


def each_deduction(rows: Any) -> Iterator[Deduction]:
    """The same as a stream, however many."""
    return map(_deduction, _columns(rows).iterator(chunk_size=2_000))


def _columns(rows: Any) -> Any:
    # Asked for where it can be: of what had no price.
    booked_since = Case(When(cost_source="unpriced", then=Subquery(corrections().values("amount_nanos"))))
    return rows.annotate(booked_since=booked_since).values_list(
        *("event_id", "job__run__run_id", "job__job_id", "job__agent_type__slug", "job__agent_type__label"),
        *("job__agent_type__color", "model", "input_tokens", "cache_read_tokens", "cache_write_tokens"),
        *("output_tokens", "amount_nanos", "booked_since", "cost_source", "occurred_at"),
    )


def _deduction(row: tuple[Any, ...]) -> Deduction:
    *told, into, read, write, out, cost, booked_since, source, at = row
    unpriced = source == "unpriced" and booked_since is None
    return Deduction(*[*told, into + read + write, out, cost + (booked_since or 0), unpriced, at])
