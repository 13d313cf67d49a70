"""Find the transactions that the ledger already holds under the ids of events."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from billing.db import bulk
from billing.events.usage_event import Tokens, content
from billing.models import CostSource, CreditTransaction
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


def places(project: Project, jobs: set[int | None]) -> dict[int | None, tuple[str, str]]:
    """The senders' run id and job id by the job's primary key; "" for transactions without a job."""
    found = _by_pk(AgentJob, project, jobs - {None}, ("id", "run_id", "job_id"))
    runs = dict(_by_pk(PipelineRun, project, {run for _, run, _ in found}, ("id", "run_id")))
    return {None: ("", ""), **{pk: (runs[run], job_id) for pk, run, job_id in found}}


def _by_pk(model: Any, project: Project, pks: Iterable[Any], columns: tuple[str, ...]) -> list[Any]:
    return bulk.find(model, project.pk, ("id",), [(pk,) for pk in sorted(pks)], columns)
