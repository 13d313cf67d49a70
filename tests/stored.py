"""Everything that the database holds of a project's usage, as plain values to compare."""

import re
from typing import Any

from django.db import models

from billing.models import (
    CreditTransaction,
    DailyAgentSpend,
    DailySpend,
    MonthlyCredits,
    MonthlySpend,
    MonthTotal,
    PricedWithout,
    RunSpend,
    UnpricedUsage,
)
from products.models import AgentJob, PipelineRun, Project

State = dict[str, dict[Any, Any]]


def stored(project: Project) -> State:
    """In the same shape as `tests.model.Model.state()`."""
    return {
        "ledger": _net_ledger(
            project,
            *("kind", "occurred_at", "job__run__run_id", "job__job_id", "model"),
            *(
                "input_tokens",
                "cache_read_tokens",
                "cache_write_tokens",
                "cache_write_1h_tokens",
                "output_tokens",
            ),
            *("amount_nanos", "cost_source", "billed_on"),
        ),
        "runs": {
            run.run_id: (
                *(run.status, run.started_at, run.finished_at, run.trigger),
                *(run.job_count, run.running_jobs, run.failed_jobs),
            )
            for run in PipelineRun.objects.filter(project=project)
        },
        "jobs": _table(
            AgentJob,
            project,
            ("run__run_id", "job_id"),
            *("status", "started_at", "finished_at", "agent_type__slug", "finished_on"),
            *("has_deduction", "has_call_report"),
        ),
        "by_agent_type": _table(
            MonthlySpend,
            project,
            ("month", "agent_type__slug"),
            *("cost_nanos", "input_tokens", "output_tokens", "transactions", "unpriced"),
            *("succeeded_jobs", "failed_jobs", "cancelled_jobs", "failed_cost_nanos", "cancelled_cost_nanos"),
        ),
        "by_month": _table(
            MonthTotal,
            project,
            ("month",),
            *("cost_nanos", "input_tokens", "output_tokens", "transactions", "jobs"),
        ),
        "by_day": _table(
            DailySpend,
            project,
            ("day",),
            "cost_nanos",
            "input_tokens",
            "output_tokens",
            "transactions",
            "jobs",
        ),
        "by_day_and_agent_type": _table(
            DailyAgentSpend,
            project,
            ("day", "agent_type__slug"),
            *("cost_nanos", "input_tokens", "output_tokens", "transactions", "jobs"),
        ),
        "by_run": _table(
            RunSpend,
            project,
            ("month", "run__run_id"),
            *("cost_nanos", "input_tokens", "output_tokens", "transactions"),
        ),
        "credits": _table(
            MonthlyCredits, project, ("month",), "purchased_nanos", "granted_nanos", "transactions"
        ),
        "by_missing_factor": _table(
            PricedWithout, project, ("month", "model", "priced_without"), "transactions"
        ),
        "by_unpriced_model": _table(
            UnpricedUsage, project, ("month", "model"), "transactions", "input_tokens", "output_tokens"
        ),
    }


def _net_ledger(project: Project, *columns: str) -> dict[Any, tuple[Any, ...]]:
    """The transactions that stand, by the ids that senders sent."""
    found = CreditTransaction.objects.filter(project=project)
    rows = list(found.values("pk", "event_id", "adjusts", "corrects", *columns))
    reversed_pks = {row["adjusts"] for row in rows if row["kind"] == "reversal"}
    standing = [row for row in rows if row["kind"] != "reversal" and row["pk"] not in reversed_pks]
    moved = {row["pk"] for row in rows if row["adjusts"]}
    table = {_sent_id(row, moved): tuple(row[column] for column in columns) for row in standing}
    assert len(table) == len(standing)
    return table


def _sent_id(row: dict[str, Any], moved: set[int]) -> str:
    """The event id that the sender of a line sent, or that the correction of that line has."""
    event_id = str(row["event_id"])
    if row["adjusts"] or row["corrects"] in moved:
        return re.sub(r"\+moved\d+'*(\+priced)?$", r"\1", event_id)
    return event_id


def _table(
    model: type[models.Model], project: Project, keys: tuple[str, ...], *columns: str
) -> dict[Any, tuple[Any, ...]]:
    rows = model._default_manager.filter(project=project).values_list(*keys, *columns)
    width = len(keys)
    table = {row[:width] if width > 1 else row[0]: row[width:] for row in rows}
    assert len(table) == len(rows)
    return table
