"""Add a batch of changes to the rollups, in the transaction that writes the ledger."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from billing.db import bulk
from billing.events.cost import Cost
from billing.events.run_state import JobSnapshot, JobState, RunState
from billing.events.usage_event import PURCHASE, REFUND, Tokens, UsageEvent
from billing.models import CostSource
from billing.periods import month_of
from billing.rollups.definitions import ALL, FINISHED_JOBS, WASTE, Rollup
from products import agent_types as naming
from products.models import Project

Sums = dict[str, int]
_UNPRICED = CostSource.UNPRICED.value
_SPEND = ("cost_nanos", "input_tokens", "output_tokens", "transactions")


def _sums() -> defaultdict[Any, Sums]:
    return defaultdict(lambda: defaultdict(int))


class Changes:
    """What a batch adds to each rollup. Keys hold slugs and run states until their rows have ids."""

    def __init__(self) -> None:
        self.by_agent_type: defaultdict[tuple[date, str], Sums] = _sums()
        self.by_month: defaultdict[date, Sums] = _sums()
        self.by_day: defaultdict[date, Sums] = _sums()
        self.by_day_and_agent_type: defaultdict[tuple[date, str], Sums] = _sums()
        self.by_run: defaultdict[tuple[date, RunState], Sums] = _sums()
        self.credits: defaultdict[date, Sums] = _sums()
        self.by_unpriced_model: defaultdict[tuple[date, str], Sums] = _sums()
        self.by_missing_factor: defaultdict[tuple[date, str, str], Sums] = _sums()
        self._spend_of_jobs: dict[tuple[date, JobState], list[int]] = {}
        """Cost, input tokens, output tokens and transactions by day and job. Most transactions of a job fall
        on one day, so `fold` adds to each rollup once for all of them."""

    def add_transaction(self, event: UsageEvent, job: JobState | None, day: date, cost: Cost) -> None:
        """Add a new transaction of the ledger."""
        if job is None:
            amount = "purchased_nanos" if event.kind == PURCHASE else "granted_nanos"
            _add(self.credits[month_of(day)], {amount: cost.nanos, "transactions": 1})
            return
        if event.kind == REFUND:
            cost = cost._replace(nanos=-cost.nanos)
        self.add_usage(job, day, cost, event.model, event.tokens)

    def add_usage(
        self,
        job: JobState,
        day: date,
        cost: Cost,
        model: str,
        tokens: Tokens,
        sign: Literal[1, -1] = 1,
    ) -> None:
        """Add the amounts and counts of one transaction; with the sign -1 take a transaction's back."""
        spend = self._spend_of_jobs.setdefault((day, job), [0, 0, 0, 0])
        spend[0] += sign * cost.nanos
        spend[1] += sign * tokens.all_input
        spend[2] += sign * tokens.output
        spend[3] += sign
        month = month_of(day)
        if cost.basis.without:
            self.by_missing_factor[month, model, cost.basis.without]["transactions"] += sign
        if cost.source == _UNPRICED:
            self.by_agent_type[month, job.agent_type or naming.OTHER]["unpriced"] += sign
            counts = {
                "transactions": sign,
                "input_tokens": sign * tokens.all_input,
                "output_tokens": sign * tokens.output,
            }
            _add(self.by_unpriced_model[month, model], counts)

    def fold(self) -> None:
        """Add the spend of each day and job to the rollups' sums."""
        for (day, job), sums in self._spend_of_jobs.items():
            month, spend = month_of(day), dict(zip(_SPEND, sums, strict=True))
            _add(self.by_month[month], spend)
            _add(self.by_day[day], spend)
            _add(self.by_run[month, job.run], spend)
            self._add_by_agent_type(day, job.agent_type or naming.OTHER, job.status, spend)
        self._spend_of_jobs.clear()

    def _add_by_agent_type(self, day: date, agent_type: str, job_status: str, spend: Sums) -> None:
        of_month = self.by_agent_type[month_of(day), agent_type]
        _add(of_month, spend)
        _add(self.by_day_and_agent_type[day, agent_type], spend)
        if job_status in WASTE:
            of_month[WASTE[job_status]] += spend["cost_nanos"]

    def add_correction(self, correction: "Correction") -> None:
        """Add a transaction that supplies the missing cost of an unpriced deduction."""
        month = month_of(correction.day)
        spend = {"cost_nanos": correction.nanos, "transactions": 1}
        _add(self.by_month[month], spend)
        _add(self.by_day[correction.day], spend)
        _add(self.by_run[month, correction.run], spend)
        self._add_by_agent_type(correction.day, correction.agent_type, correction.job_status, spend)
        self.by_agent_type[month, correction.agent_type]["unpriced"] -= 1
        no_longer_unpriced = {
            "transactions": -1,
            "input_tokens": -correction.input_tokens,
            "output_tokens": -correction.output_tokens,
        }
        _add(self.by_unpriced_model[month, correction.model], no_longer_unpriced)

    def months_of_spend(self) -> set[date]:
        return {month for (month, _), sums in self.by_agent_type.items() if sums.get("cost_nanos")}

    def count_job(self, before: JobSnapshot | None, after: JobSnapshot) -> None:
        """Count a finished job; take it away from where it was counted before."""
        for job, sign in ((before, -1), (after, 1)):
            if job and job.finished_on:
                day, slug = job.finished_on, job.agent_type
                self.by_month[month_of(day)]["jobs"] += sign
                self.by_day[day]["jobs"] += sign
                self.by_day_and_agent_type[day, slug]["jobs"] += sign
                self.by_agent_type[month_of(day), slug][FINISHED_JOBS[job.status]] += sign

    def move(self, recorded: Iterable[dict[str, Any]], before: JobSnapshot, after: JobSnapshot) -> None:
        """Move the spend recorded on a job, whose agent type or failure has changed, to its new sums."""
        for row in recorded:
            day = row["billed_on"]
            for job, sign in ((before, -1), (after, 1)):
                spend = {
                    "cost_nanos": sign * (row["cost"]),
                    "input_tokens": sign * row["input"],
                    "output_tokens": sign * row["output"],
                    "transactions": sign * row["lines"],
                }
                self._add_by_agent_type(day, job.agent_type, job.status, spend)
                self.by_agent_type[month_of(day), job.agent_type]["unpriced"] += sign * row["unpriced"]


@dataclass(frozen=True)
class Correction:
    """A missing cost that was added: its job and day, and the tokens of the deduction it prices."""

    run: RunState
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
    if changes.by_missing_factor and not project.has_missing_factors:
        Project.objects.filter(pk=project.pk).update(has_missing_factors=True)
    tables: tuple[dict[Any, Sums], ...] = (
        {(month, agent_types.id_of(slug)): sums for (month, slug), sums in changes.by_agent_type.items()},
        {(month,): sums for month, sums in changes.by_month.items()},
        {(day,): sums for day, sums in changes.by_day.items()},
        {(day, agent_types.id_of(slug)): sums for (day, slug), sums in changes.by_day_and_agent_type.items()},
        {(run.pk, month): sums for (month, run), sums in changes.by_run.items()},
        {(month,): sums for month, sums in changes.credits.items()},
        dict(changes.by_unpriced_model),
        dict(changes.by_missing_factor),
    )
    with bulk.pipelined():
        emptied = [
            rollup for rollup, table in zip(ALL, tables, strict=True) if _add_rows(project, rollup, table)
        ]
    for rollup in emptied:
        _delete_empty_rows(project, rollup)


def _add_rows(project: Project, rollup: Rollup, table: dict[tuple[Any, ...], Sums]) -> bool:
    """Add to a rollup's rows; return whether some of them may be all zeros now."""
    rows = [
        (project.pk, *key, *(sums.get(name, 0) for name in rollup.sums))
        for key, sums in sorted(table.items())
        if any(sums.values())
    ]
    bulk.add(rollup.model, ("project_id", *rollup.keys), rollup.sums, rows)
    return any(value < 0 for row in rows for value in row[1 + len(rollup.keys) :])


def _delete_empty_rows(project: Project, rollup: Rollup) -> None:
    """Delete rows of zeros, so that the rollups are a function of the set of recorded events."""
    rollup.model._default_manager.filter(project=project, **dict.fromkeys(rollup.sums, 0)).delete()
