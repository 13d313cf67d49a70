"""Exports of a product's pipeline runs, and of the jobs and deductions of a run.

Rows are streamed. The total is a list that is filled in as they pass, so read it after the last row.
"""

from collections.abc import Iterable, Iterator, Sequence

from aicost import queries
from aicost.exports.tabular import Cell, Table, instant
from aicost.queries import Deduction, RunCost, runs
from aicost.queries.runs import JobCost
from billing import money
from products.models import Project

RUN_COLUMNS = ("runId", "status", "trigger", "startedAt", "finishedAt", "jobs", "tokens", "cost")
JOB_COLUMNS = (
    *("jobId", "agentType", "label", "status", "startedAt", "finishedAt"),
    *("transactions", "inputTokens", "outputTokens", "cost"),
)
DEDUCTION_COLUMNS = ("id", "occurredAt", "jobId", "agentType", "model", "inputTokens", "outputTokens", "cost")


def pipelines(project: Project) -> Table:
    """Every run, latest start first, in the order of the page."""
    return _summed("pipelines", RUN_COLUMNS, map(_run, runs.every_run(project)), 3)


def _run(run: RunCost) -> tuple[Cell, ...]:
    return (
        *(run.run_id, run.status, run.trigger, instant(run.started_at), instant(run.finished_at)),
        *(run.job_count, run.tokens, run.cost),
    )


def jobs(project: Project, run_id: str) -> Table:
    """Jobs of a run. Raises `Http404` if the project has no such run."""
    found = runs.jobs_of(runs.run_named(project, run_id))
    return _summed("jobs", JOB_COLUMNS, map(_job, found), 4)


def _job(job: JobCost) -> tuple[Cell, ...]:
    return (
        *(job.job_id, job.agent_type, job.label, job.status, instant(job.started_at)),
        *(instant(job.finished_at), job.transactions, job.input_tokens, job.output_tokens, job.cost),
    )


def deductions(project: Project, run_id: str) -> Table:
    """Deductions of a run; unpriced ones have no cost. Raises `Http404` if the project has no such run."""
    found = queries.each_deduction(project.pk, runs.deductions_of(runs.run_named(project, run_id)))
    return _summed("deductions", DEDUCTION_COLUMNS, map(_deduction, found), 3)


def _deduction(deduction: Deduction) -> tuple[Cell, ...]:
    return (
        *(deduction.event_id, instant(deduction.occurred_at), deduction.job_id),
        *(deduction.agent_type, deduction.model),
        *(deduction.input_tokens, deduction.output_tokens),
        None if deduction.unpriced else deduction.cost,
    )


def _summed(name: str, columns: Sequence[str], rows: Iterable[tuple[Cell, ...]], sums: int) -> Table:
    """A table that sums its last `sums` columns. The last is a cost, converted from nano-dollars."""
    first_sum = len(columns) - sums
    total: list[Cell] = ["total", *[None] * (first_sum - 1), *[0] * (sums - 1), 0.0]

    def rows_summed() -> Iterator[tuple[Cell, ...]]:
        subtotals = [0] * sums
        for row in rows:
            cells = row[first_sum:]
            subtotals = [sum_ + int(cell or 0) for sum_, cell in zip(subtotals, cells, strict=True)]
            total[first_sum:] = [*subtotals[:-1], money.dollars(subtotals[-1])]
            yield (*row[:-1], None if row[-1] is None else money.dollars(int(row[-1])))

    return Table(name, columns, rows_summed(), total)


RUN_TABLES = {"jobs": jobs, "deductions": deductions}
