"""The read side of pipeline runs: the list, and one run with its jobs and deductions."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from operator import add
from typing import Any

from django.db.models import BigIntegerField, Case, Count, F, Q, QuerySet, Sum, When
from django.http import Http404

from aicost.queries.transactions import Deduction, deductions, with_other_senders
from billing.clock import this_month
from billing.events.usage_event import Kind
from billing.models import CreditTransaction, LedgerQuerySet, RunSpend
from products.models import SUPERSEDED, AgentJob, PipelineRun, Project

PAGE = 50
TOP_RUNS = 5
BATCH = 2_000
"""Runs fetched at a time by `every_run`."""
JOBS_SHOWN = 200
DEDUCTIONS_SHOWN = 200


@dataclass(frozen=True)
class RunCost:
    """A run with its spend: of one month in the list of top runs, of all time elsewhere."""

    run_id: str
    status: str
    trigger: str
    started_at: datetime | None
    finished_at: datetime | None
    job_count: int
    tokens: int
    cost: int


@dataclass(frozen=True)
class Cursor:
    """Where a page of runs begins: after the run with this start and id."""

    started_at: datetime | None
    """None if the start is unknown."""
    run_id: str


@dataclass(frozen=True)
class RunPage:
    runs: list[RunCost]
    older: Cursor | None
    """Where the next page begins. None on the last page."""


def run_page(project: Project, after: Cursor | None = None) -> RunPage:
    """Runs by start, newest first, then run id. Runs with an unknown start come last."""
    return _page(project, after, PAGE)


def _page(project: Project, after: Cursor | None, size: int) -> RunPage:
    started = _started(project, after)[: size + 1] if after is None or after.started_at else []
    found = list(started)
    if len(found) <= size:
        found += _not_started(project, after)[: size + 1 - len(found)]
    runs = found[:size]
    older = Cursor(runs[-1].started_at, runs[-1].run_id) if len(found) > size else None
    return RunPage(_with_spend(project, runs), older)


def _counting(project: Project) -> QuerySet[PipelineRun]:
    """Runs with a job of their own. All calls of the others are booked on the runs of other senders."""
    return PipelineRun.objects.filter(project=project, job_count__gt=0)


def _started(project: Project, after: Cursor | None) -> QuerySet[PipelineRun]:
    runs = _counting(project).filter(started_at__isnull=False)
    if after:
        # The redundant first filter lets an index scan begin here. With the OR alone, it begins at the top.
        runs = runs.filter(started_at__lte=after.started_at).filter(
            Q(started_at__lt=after.started_at) | Q(run_id__gt=after.run_id)
        )
    return runs.order_by("-started_at", "run_id")


def _not_started(project: Project, after: Cursor | None) -> QuerySet[PipelineRun]:
    runs = _counting(project).filter(started_at=None)
    if after and after.started_at is None:
        runs = runs.filter(run_id__gt=after.run_id)
    return runs.order_by("run_id")


def every_run(project: Project) -> Iterator[RunCost]:
    """All runs in the order of `run_page`, fetched in batches."""
    after: Cursor | None = None
    while True:
        page = _page(project, after, BATCH)
        yield from page.runs
        if page.older is None:
            return
        after = page.older


def _with_spend(project: Project, runs: list[PipelineRun]) -> list[RunCost]:
    spend: dict[int, Any] = {
        row["run_id"]: row
        for row in RunSpend.objects.filter(project=project, run__in=runs)
        .values("run_id")
        .annotate(cost=Sum("cost_nanos"), tokens=Sum(F("input_tokens") + F("output_tokens")))
    }
    nothing = {"cost": 0, "tokens": 0}
    return [_run_cost(run, spend.get(run.pk, nothing)) for run in runs]


def _run_cost(run: PipelineRun, spend: dict[str, Any]) -> RunCost:
    return RunCost(
        run_id=run.run_id,
        status=run.status,
        trigger=run.trigger,
        started_at=run.started_at,
        finished_at=run.finished_at,
        job_count=run.job_count,
        tokens=int(spend["tokens"]),
        cost=int(spend["cost"]),
    )


def top_runs(project: Project, month: date | None = None) -> list[RunCost]:
    """The month's five most expensive runs. Ties are ordered by start, newest first, then run id."""
    rows = RunSpend.objects.filter(project=project, month=month or this_month(project)).order_by(
        "-cost_nanos", F("run__started_at").desc(nulls_last=True), "run__run_id"
    )
    found = rows.select_related("run").only(
        *(
            "input_tokens",
            "output_tokens",
            "cost_nanos",
            "run__run_id",
            "run__status",
            "run__reported_trigger",
        ),
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
class JobCost:
    job_id: str
    agent_type: str
    label: str
    color: str
    status: str
    started_at: datetime | None
    finished_at: datetime | None
    transactions: int
    input_tokens: int
    output_tokens: int
    cost: int


@dataclass(frozen=True)
class RunDetail:
    """A run with its most expensive jobs and newest deductions, at most 200 of each."""

    run: RunCost
    jobs: list[JobCost]
    deductions: list[Deduction]
    refunded: int
    """Nano-dollars refunded on the run's jobs."""


def run_detail(project: Project, run_id: str) -> RunDetail:
    """Raises `Http404` if the project has no such run."""
    run = run_named(project, run_id)
    refunds = _ledger_of(run).filter(kind=Kind.REFUND).aggregate(total=Sum("amount_nanos", default=0))
    return RunDetail(
        run=_with_spend(project, [run])[0],
        jobs=list(jobs_of(run, JOBS_SHOWN)),
        deductions=with_other_senders(project, deductions(project.pk, deductions_of(run)[:DEDUCTIONS_SHOWN])),
        refunded=int(refunds["total"]),
    )


def run_named(project: Project, run_id: str) -> PipelineRun:
    """Raises `Http404` if the project has no such run."""
    named = PipelineRun.objects.filter(project=project, run_id=run_id)
    # PostgreSQL can't store text with a NUL, and rejects queries for it.
    run = None if "\0" in run_id else named.first()
    if not run:
        raise Http404("No such pipeline run.")
    return run


def _ledger_of(run: PipelineRun) -> LedgerQuerySet:
    jobs = AgentJob.objects.filter(project=run.project_id, run=run)
    return CreditTransaction.objects.filter(project=run.project_id, job__in=jobs.values("pk"))


def deductions_of(run: PipelineRun) -> LedgerQuerySet:
    """The run's deductions, newest first."""
    return _ledger_of(run).deductions().order_by("-occurred_at", "event_id")


_INPUT = ("input_tokens", "cache_read_tokens", "cache_write_tokens")


def _signed(tokens: Any) -> Case:
    negated = When(transactions__kind=Kind.REVERSAL, then=-tokens)
    return Case(negated, default=tokens, output_field=BigIntegerField())


def jobs_of(run: PipelineRun, limit: int | None = None) -> Iterator[JobCost]:
    """A run's jobs, the most expensive first, at most `limit`."""
    deducted = Q(transactions__kind=Kind.DEDUCTION)
    reversed_ = Q(transactions__kind=Kind.REVERSAL)
    correction = Q(transactions__corrects__isnull=False)
    columns = (
        *("job_id", "agent_type__slug", "agent_type__label", "agent_type__color"),
        *("status", "started_at", "finished_at"),
    )
    sums = {
        # Without corrections, and without what a reversal takes back, if that is not a correction.
        "lines": Count("transactions", filter=~reversed_ & ~correction)
        - Count("transactions", filter=reversed_ & Q(transactions__adjusts__corrects=None)),
        "into": Sum(_signed(reduce(add, (F(f"transactions__{name}") for name in _INPUT))), default=0),
        "out": Sum(_signed(F("transactions__output_tokens")), default=0),
        "spent": Sum("transactions__amount_nanos", filter=deducted, default=0),
        "refunded": Sum("transactions__amount_nanos", filter=~deducted, default=0),
    }
    jobs = (
        AgentJob.objects.filter(~SUPERSEDED, project=run.project_id, run=run)
        # Columns, not model instances: Django groups those by id, which is not the key on every database.
        .values_list(*columns)
        .annotate(**sums)
        .order_by(F("refunded") - F("spent"), "job_id")
    )
    return (
        JobCost(*[*job, lines, int(into), int(out), int(spent) - int(refunded)])
        for *job, lines, into, out, spent, refunded in jobs[:limit].iterator(chunk_size=2_000)
    )
