"""Figures of `queries` as the contract words them: dollars for nano-dollars, text for days."""

from typing import Any

from aicost import queries
from aicost.api import schemas
from aicost.formatting import text as formats
from billing import clock
from billing.budgets.forecast import Forecast, NotYet
from billing.budgets.limits import BudgetStatus
from billing.money import dollars, percent
from products.colors import LIGHT
from products.models import Project


def agent(summary: queries.MonthSummary, agent: queries.AgentTypeSpend) -> schemas.AgentTypeFigures:
    return schemas.AgentTypeFigures(
        agentType=agent.agent_type,
        agentLabel=agent.label,
        agentColor=LIGHT[agent.color],
        totalJobs=agent.jobs,
        cost=dollars(agent.cost),
        pctOfTotal=summary.share(agent),
        inputTokens=agent.input_tokens,
        outputTokens=agent.output_tokens,
        successRate=agent.success_rate,
        waste=waste(agent),
    )


def waste(of: queries.MonthSummary | queries.AgentTypeSpend) -> schemas.Waste:
    return schemas.Waste(
        failedCost=dollars(of.failed_cost),
        cancelledCost=dollars(of.cancelled_cost),
        wastedPct=percent(of.wasted, of.cost),
        costPerJob=queries.dollars_each(of.cost, of.jobs),
        costPerSucceededJob=queries.dollars_each(of.cost, of.succeeded_jobs),
    )


def unpriced(project: Project, summary: queries.MonthSummary) -> list[schemas.UnpricedModel]:
    """Mostly there is none, and then nothing is asked for."""
    found = queries.unpriced_models(project, summary.month) if summary.unpriced else []
    return [
        schemas.UnpricedModel(
            model=one.model,
            transactions=one.transactions,
            inputTokens=one.input_tokens,
            outputTokens=one.output_tokens,
        )
        for one in found
    ]


def run(run: queries.RunCost) -> schemas.RunFigures:
    return schemas.RunFigures(
        runId=run.run_id,
        status=run.status,
        trigger=run.trigger,
        startedAt=formats.utc(run.started_at) if run.started_at else None,
        jobCount=run.job_count,
        totalTokens=run.tokens,
        cost=dollars(run.cost),
    )


def budget(budget: BudgetStatus | None) -> dict[str, Any]:
    return {
        "budgetLimit": dollars(budget.limit_nanos) if budget else None,
        "budgetPct": budget.percent if budget else None,
        "budgetState": budget.state if budget else None,
    }


def forecast(project: Project, summary: queries.MonthSummary) -> schemas.Forecast | None:
    if summary.month != clock.this_month(project):
        return None
    found = queries.budget_forecast(project, summary)
    if isinstance(found.outlook, NotYet):
        return None
    running = found.running
    return schemas.Forecast(
        **outlook(found.outlook),
        runningJobs=running.jobs,
        runningExposure=None if running.exposure is None else dollars(running.exposure),
    )


def outlook(ahead: Forecast) -> dict[str, Any]:
    return {
        "monthEnd": dollars(ahead.month_end),
        "low": dollars(ahead.low),
        "high": dollars(ahead.high),
        "limitPassedOn": ahead.limit_passed_on.isoformat() if ahead.limit_passed_on else None,
    }
