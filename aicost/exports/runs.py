"""Pipeline runs for machines: all of a product, the jobs and deductions of one.

Rows come as a stream, and the total, which is a list, is summed while they pass.
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
    """Every run, newest start first, as the page lists them."""
    return _summed("pipelines", RUN_COLUMNS, map(_run, runs.every_run(project)), 3)


def _run(run: RunCost) -> tuple[Cell, ...]:
    return (
        *(run.run_id, run.status, run.trigger, instant(run.started_at), instant(run.finished_at)),
        *(run.job_count, run.tokens, run.cost),
    )


def jobs(project: Project, run_id: str) -> Table:
    """Raises `Http404` where the project has no such run."""
    found = runs.jobs_of(runs.run_named(project, run_id))
    return _summed("jobs", JOB_COLUMNS, map(_job, found), 4)


def _job(job: JobCost) -> tuple[Cell, ...]:
    return (
        *(job.job_id, job.agent_type, job.label, job.status, instant(job.started_at)),
        *(instant(job.finished_at), job.transactions, job.input_tokens, job.output_tokens, job.cost),
    )


def deductions(project: Project, run_id: str) -> Table:
    """Raises `Http404` where the project has no such run. An unpriced one has no cost."""
    found = queries.each_deduction(project.pk, runs.deductions_of(runs.run_named(project, run_id)))
    return _summed("deductions", DEDUCTION_COLUMNS, map(_deduction, found), 3)


def _deduction(one: Deduction) -> tuple[Cell, ...]:
    return (
        *(one.event_id, instant(one.occurred_at), one.job_id, one.agent_type, one.model),
        *(one.input_tokens, one.output_tokens, None if one.unpriced else one.cost),
    )


def _summed(name: str, columns: Sequence[str], rows: Iterable[tuple[Cell, ...]], sums: int) -> Table:
    """The last `sums` columns are summed, the very last of them nano-dollars that become dollars."""
    told = len(columns) - sums
    total: list[Cell] = ["total", *[None] * (told - 1), *[0] * (sums - 1), 0.0]

    def passing() -> Iterator[tuple[Cell, ...]]:
        counted = [0] * sums
        for row in rows:
            counted = [sum_ + int(cell or 0) for sum_, cell in zip(counted, row[told:], strict=True)]
            total[told:] = [*counted[:-1], money.dollars(counted[-1])]
            yield (*row[:-1], None if row[-1] is None else money.dollars(int(row[-1])))

    return Table(name, columns, passing(), total)


OF_RUN = {"jobs": jobs, "deductions": deductions}
