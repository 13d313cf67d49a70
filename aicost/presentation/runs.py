"""Pipeline runs in lists, and one run with its jobs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import QueryDict

from aicost.formatting import html, text
from aicost.presentation import senders
from aicost.queries import Deduction, RunCost
from aicost.queries.runs import DEDUCTIONS_SHOWN, JOBS_SHOWN, JobCost, RunDetail, RunPage
from aicost.url_state import runs as run_urls
from billing import periods
from products.models import Project


@dataclass(frozen=True)
class RunRow:
    run_id: str
    url: str
    status: str
    trigger: str
    started: str
    duration: str
    jobs: str
    job_word: str
    tokens: str
    cost: str


def run_row(project: Project, run: RunCost) -> RunRow:
    return RunRow(
        run_id=run.run_id,
        url=run_urls.run_url(project, run.run_id),
        status=run.status,
        trigger=run.trigger,
        started=html.moment(run.started_at, periods.zone(project.time_zone)),
        duration=_duration(run.started_at, run.finished_at),
        jobs=text.count(run.job_count),
        job_word="job" if run.job_count == 1 else "jobs",
        tokens=html.tokens(run.tokens),
        cost=html.money(run.cost),
    )


def _duration(start: datetime | None, finish: datetime | None) -> str:
    if start is None or finish is None or finish < start:
        return text.NONE
    return text.duration((finish - start).total_seconds())


@dataclass(frozen=True)
class JobRow:
    job_id: str
    label: str
    color: str
    status: str
    started: str
    duration: str
    input: str
    output: str
    lines: str
    cost: str


def job_row(project: Project, job: JobCost) -> JobRow:
    return JobRow(
        job_id=job.job_id,
        label=job.label,
        color=job.color,
        status=job.status,
        started=html.moment(job.started_at, periods.zone(project.time_zone)),
        duration=_duration(job.started_at, job.finished_at),
        input=html.tokens(job.input_tokens),
        output=html.tokens(job.output_tokens),
        lines=text.count(job.transactions),
        cost=html.money(job.cost),
    )


@dataclass(frozen=True)
class DeductionRow:
    when: str
    label: str
    color: str
    run_id: str
    run_url: str
    job_id: str
    model: str
    input: str
    output: str
    cost: str
    unpriced: bool
    also_reported_by: str


def deduction_rows(project: Project, found: list[Deduction]) -> list[DeductionRow]:
    zone, runs = periods.zone(project.time_zone), run_urls.runs_url(project)
    return [
        DeductionRow(
            when=html.moment(row.occurred_at, zone),
            label=row.label,
            color=row.color,
            run_id=row.run_id,
            run_url=run_urls.run_url_under(runs, row.run_id),
            job_id=row.job_id,
            model=row.model,
            input=html.tokens(row.input_tokens),
            output=html.tokens(row.output_tokens),
            cost="unpriced" if row.unpriced else html.money(row.cost),
            unpriced=row.unpriced,
            also_reported_by=", ".join(map(senders.name_of, row.other_senders)),
        )
        for row in found
    ]


def run_list(project: Project, found: RunPage, params: QueryDict) -> dict[str, Any]:
    return {
        "runs": [run_row(project, run) for run in found.runs],
        "older": run_urls.older_url(project, found.older),
        "first_page": "before" not in params,
    }


def one_run(project: Project, detail: RunDetail) -> dict[str, Any]:
    return {
        "run": run_row(project, detail.run),
        "refunded": html.money(detail.refunded) if detail.refunded else "",
        "jobs": [job_row(project, job) for job in detail.jobs],
        "deductions": deduction_rows(project, detail.deductions),
        "cut_jobs": _cut_jobs(detail),
        "cut_deductions": len(detail.deductions) == DEDUCTIONS_SHOWN,
    }


def _cut_jobs(detail: RunDetail) -> str:
    """A note if the run has more jobs than its page shows; otherwise ""."""
    if detail.run.job_count <= len(detail.jobs):
        return ""
    return f"The {JOBS_SHOWN} costliest of {text.count(detail.run.job_count)} jobs."
