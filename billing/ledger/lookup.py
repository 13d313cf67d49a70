"""Find the transactions that the ledger already holds under the ids of events."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from django.db.models import Q

from billing.db import bulk
from billing.events.usage_event import DEDUCTION, Rejection, Tokens, UsageEvent, content
from billing.models import CallReport, CostSource, CreditTransaction
from products.models import AgentJob, PipelineRun, Project

PRICED = "+priced"
"""Follows a deduction's event id in the id of the line that adds its missing cost."""


class Line(NamedTuple):
    """A transaction in its sender's terms. `run_id` and `job_id` are the sender's ids, or ""."""

    event_id: str
    kind: str
    occurred_at: datetime
    run_id: str
    job_id: str
    model: str
    tokens: Tokens
    stated_nanos: int | None
    """None if the cost was computed or is unknown."""

    @property
    def content(self) -> tuple[object, ...]:
        """Comparable with `UsageEvent.content`."""
        return content(*self[1:])


_COLUMNS = (
    *("event_id", "kind", "occurred_at", "job_id", "model"),
    *("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens"),
    *("amount_nanos", "cost_source"),
)
_REPORTED = CostSource.REPORTED.value


def lines(project: Project, event_ids: Iterable[str]) -> list[Line]:
    """The lines that exist under these ids, in no particular order."""
    wanted = [(event_id,) for event_id in event_ids]
    found = bulk.find(CreditTransaction, project.pk, ("event_id",), wanted, _COLUMNS)
    names = places(project, {row[3] for row in found})
    return [
        Line(event_id, kind, at, *names[job], model, Tokens(*counts), paid if source == _REPORTED else None)
        for event_id, kind, at, job, model, *counts, paid, source in found
    ]


def under_earlier_runs(
    project: Project, events: Sequence[UsageEvent | Rejection]
) -> Sequence[UsageEvent | Rejection]:
    """The events; a job that an earlier version recorded under another run stays with that run."""
    earlier = {
        (event.earlier_run_id, event.job_id)
        for event in events
        if isinstance(event, UsageEvent) and event.earlier_run_id
    }
    if not earlier:
        return events
    jobs = AgentJob.objects.filter(project=project, run__run_id__among={run for run, _ in earlier})
    known = earlier & set(jobs.values_list("run__run_id", "job_id"))
    return [
        msgspec.structs.replace(event, run_id=event.earlier_run_id)
        if isinstance(event, UsageEvent) and (event.earlier_run_id, event.job_id) in known
        else event
        for event in events
    ]


class Growth(NamedTuple):
    """What was recorded of a response, after its first record, because its counts had grown."""

    of: str
    """The response's event id."""
    event_id: str
    total: int
    """All tokens of the response by then."""
    tokens: Tokens
    """All of them if it is a report of the call, otherwise what they grew by."""
    nanos: int
    is_report: bool


GROWTH = re.compile(r"(.+)\+(\d+)", re.ASCII | re.DOTALL)
"""The event id of a response's growth: the response's own, and all its tokens by then."""
_GROWTH_COLUMNS = (
    *("event_id", "amount_nanos", "input_tokens", "cache_read_tokens"),
    *("cache_write_tokens", "cache_write_1h_tokens", "output_tokens"),
)


def growth_of(project: Project, event_ids: Sequence[str]) -> list[Growth]:
    """The growth of these responses, recorded under `<event id>+<total>`, by ascending total."""
    found = []
    for start in range(0, len(event_ids), 100):
        part = event_ids[start : start + 100]
        condition = Q()
        for event_id in part:  # one range of the index each
            condition |= Q(event_id__gt=f"{event_id}+", event_id__lt=f"{event_id},")
        lines_ = CreditTransaction.objects.filter(condition, project=project, kind=DEDUCTION)
        reports = CallReport.objects.filter(condition, project=project)
        by_id = {row[0]: (False, row) for row in lines_.values_list(*_GROWTH_COLUMNS)}
        if project.has_call_ids:
            by_id |= {row[0]: (True, row) for row in reports.values_list(*_GROWTH_COLUMNS)}
        for event_id, (is_report, (_, nanos, *counts)) in by_id.items():
            named = GROWTH.fullmatch(event_id)
            if named and named[1] in part:
                found.append(Growth(named[1], event_id, int(named[2]), Tokens(*counts), nanos, is_report))
    return sorted(found, key=lambda growth: growth.total)


def places(project: Project, jobs: set[int | None]) -> dict[int | None, tuple[str, str]]:
    """The senders' run id and job id by the job's primary key; "" for transactions without a job."""
    found = _by_pk(AgentJob, project, jobs - {None}, ("id", "run_id", "job_id"))
    runs = dict(_by_pk(PipelineRun, project, {run for _, run, _ in found}, ("id", "run_id")))
    return {None: ("", ""), **{pk: (runs[run], job_id) for pk, run, job_id in found}}


def _by_pk(model: Any, project: Project, pks: Iterable[Any], columns: tuple[str, ...]) -> list[Any]:
    return bulk.find(model, project.pk, ("id",), [(pk,) for pk in sorted(pks)], columns)
