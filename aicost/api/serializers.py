"""Turn results of `queries` into the API's schemas: nano-dollars into dollars, days into text."""

from typing import Any

from aicost import queries
from aicost.api import schemas
from aicost.formatting import text
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
    """The models without a known price. Makes no query if the month has none, as most have."""
    rows = queries.unpriced_models(project, summary.month) if summary.unpriced else []
    return [
        schemas.UnpricedModel(
            model=row.model,
            transactions=row.transactions,
            inputTokens=row.input_tokens,
            outputTokens=row.output_tokens,
        )
        for row in rows
    ]


def priced_without(project: Project, summary: queries.MonthSummary) -> list[schemas.PricedWithout]:
    return [
        schemas.PricedWithout(model=row.model, factors=row.priced_without, transactions=row.transactions)
        for row in queries.priced_without(project, summary.month)
    ]


def run(run: queries.RunCost) -> schemas.RunFigures:
    return schemas.RunFigures(
        runId=run.run_id,
        status=run.status,
        trigger=run.trigger,
        startedAt=text.utc(run.started_at) if run.started_at else None,
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


def outlook(forecast: Forecast) -> dict[str, Any]:
    return {
        "monthEnd": dollars(forecast.month_end),
        "low": dollars(forecast.low),
        "high": dollars(forecast.high),
        "limitPassedOn": forecast.limit_passed_on.isoformat() if forecast.limit_passed_on else None,
    }
