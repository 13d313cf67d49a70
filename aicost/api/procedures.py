"""The procedures. Importing this module registers all of them in `PROCEDURES`.

Each takes the caller and the validated input. They raise Django's exceptions: `Http404` for a product
that the caller may not see, `PermissionDenied`, and `ValidationError`, which names a field.
"""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied

from aicost import queries
from aicost.api import schemas, serializers
from aicost.api.registry import PROCEDURES, procedure
from aicost.cache import Span, get_or_make, key_of
from aicost.formatting import text
from billing import clock, periods
from billing.budgets import checks, limits
from billing.money import dollars, nanos_from_dollars
from products.access import Caller, project_for
from products.colors import LIGHT
from products.models import Project

__all__ = ["PROCEDURES"]

Function = Callable[..., Any]


def _cached_read(span: Span) -> Callable[[Function], Function]:
    """For reads of one product: checks the caller's access, then caches the output for that span."""

    def decorate(function: Function) -> Function:
        @wraps(function)
        def read(caller: Caller, params: schemas.OfProject) -> Any:
            project = project_for(caller, params.projectId)
            question = f"{function.__name__} {params.model_dump(exclude_unset=True)!a}"
            return get_or_make(key_of(question, span, project), lambda: function(project, params))

        return read

    return decorate


@procedure("query")
@_cached_read("minute")
def get_monthly_summary(project: Project, params: schemas.OfMonth) -> schemas.MonthlySummary:
    """A month's spend, its breakdown by agent type, the five costliest runs, and the budget."""
    month = _month(project, params)
    summary = queries.month_summary(project, month)
    return schemas.MonthlySummary(
        month=periods.month_text(summary.month),
        totalCost=dollars(summary.cost),
        totalTokens=summary.tokens,
        totalJobs=summary.jobs,
        unpricedTransactions=summary.unpriced,
        unpricedModels=serializers.unpriced(project, summary),
        pricedWithout=serializers.priced_without(project, summary),
        waste=serializers.waste(summary),
        agentBreakdown=[serializers.agent(summary, agent) for agent in summary.agents],
        topRuns=[serializers.run(run) for run in queries.top_runs(project, month)],
        **serializers.budget(summary.budget),
        forecast=serializers.forecast(project, summary),
    )


@procedure("query")
@_cached_read("day")
def get_monthly_trend(project: Project, params: schemas.OfMonth) -> list[schemas.MonthFigures]:
    """Six months of spend, oldest first; months without usage are zeros."""
    month = _month(project, params)
    return [
        schemas.MonthFigures(
            month=periods.month_text(figures.start),
            cost=dollars(figures.cost),
            totalTokens=figures.tokens,
            jobCount=figures.jobs,
        )
        for figures in queries.monthly_trend(project, month)
    ]


@procedure("query")
def get_cross_project_summary(caller: Caller) -> schemas.CrossProjectSummary:
    """This month's spend of every product that the caller owns, each in its own billing zone."""
    caller.require("read")
    projects = list(caller.owned())
    return get_or_make(key_of("cross-project summary", "minute", *projects), lambda: _summary_of(projects))


def _summary_of(projects: list[Project]) -> schemas.CrossProjectSummary:
    portfolio = queries.portfolio(projects)
    return schemas.CrossProjectSummary(
        totalCost=dollars(portfolio.cost),
        totalTokens=portfolio.tokens,
        totalJobs=portfolio.jobs,
        projects=[
            schemas.ProjectFigures(
                projectId=str(row.project.pk),
                name=row.project.name,
                cost=dollars(row.cost),
                totalTokens=row.tokens,
                jobCount=row.jobs,
                **serializers.budget(row.budget),
                forecast=schemas.Outlook(**serializers.outlook(row.forecast)) if row.forecast else None,
            )
            for row in portfolio.projects
        ],
    )


@procedure("mutation")
def set_budget_limit(caller: Caller, params: schemas.NewLimit) -> schemas.BudgetFigures:
    """Set the monthly limit of a product.

    The caller must own or manage the product; a token needs the scope `write`.
    """
    project = project_for(caller, params.projectId, "change")
    limit = Decimal(repr(params.limitDollars))
    limits.set_limit(project, limit, by=caller.user)
    return _budget_figures(project)


@procedure("mutation")
def clear_budget_limit(caller: Caller, params: schemas.OfProject) -> schemas.BudgetFigures:
    """Remove the monthly limit of a product."""
    project = project_for(caller, params.projectId, "change")
    limits.set_limit(project, None, by=caller.user)
    return _budget_figures(project)


@procedure("query", need="ask")
def check_budget(caller: Caller, params: schemas.Estimated) -> schemas.BudgetAnswer:
    """Check whether the budget allows an estimated cost. Changes and reserves nothing."""
    project = project_for(caller, params.projectId, "ask")
    result = checks.check(project, _nanos(params.estimateDollars))
    return schemas.BudgetAnswer(**_budget_answer(result))


@procedure("mutation", need="reserve")
def reserve_budget(caller: Caller, params: schemas.ToReserve) -> schemas.ReservationAnswer:
    """Check as `checkBudget` does and, if allowed, reserve the estimate for 15 minutes.

    The reservation ends earlier when usage with its `reservationId` arrives. Sending the same
    `reservationId` again replaces the reserved amount. The caller must own or manage the product; a token
    needs the scope `write` or `ingest`.
    """
    project = project_for(caller, params.projectId, "reserve")
    if project.archived_at:
        raise PermissionDenied("This product is archived and accepts no usage.")
    estimate = _nanos(params.estimateDollars)
    result = checks.reserve(project, estimate, by=caller.user, reservation_id=params.reservationId)
    reservation = result.reservation
    return schemas.ReservationAnswer(
        **_budget_answer(result),
        reservationId=reservation.reservation_id if reservation else None,
        expiresAt=text.utc(reservation.expires_at) if reservation else None,
    )


@procedure("query")
@_cached_read("day")
def get_recent_transactions(project: Project, params: schemas.OfMonth) -> list[schemas.Transaction]:
    """The 50 newest deductions, newest first; with `month`, the 50 newest before its end."""
    month = _month(project, params)
    return [
        schemas.Transaction(
            id=row.event_id,
            runId=row.run_id,
            jobId=row.job_id,
            agentType=row.agent_type,
            agentLabel=row.label,
            agentColor=LIGHT[row.color],
            model=row.model,
            inputTokens=row.input_tokens,
            outputTokens=row.output_tokens,
            cost=dollars(row.cost),
            unpriced=row.unpriced,
            createdAt=text.utc(row.occurred_at),
        )
        for row in queries.recent(project, month)
    ]


@procedure("query")
@_cached_read("day")
def get_daily_spend(project: Project, params: schemas.OfDays) -> list[schemas.DayFigures]:
    """Spend per day over 7, 14, 30 or 90 days, oldest first.

    The last day is today or, for a past `month`, its last day.
    """
    month = _month(project, params)
    return [
        schemas.DayFigures(
            date=day.start.isoformat(), cost=dollars(day.cost), tokens=day.tokens, jobs=day.jobs
        )
        for day in queries.daily_spend(project, params.days, month)
    ]


def _month(project: Project, params: schemas.OfMonth | schemas.OfDays) -> date | None:
    """The month that was sent; None, for the current month, if none was."""
    sent = "month" in params.model_fields_set  # an empty text counts as sent, and is an error
    return clock.month_from(project, params.month) if sent else None


def _budget_figures(project: Project) -> schemas.BudgetFigures:
    status = queries.month_summary(project).budget
    return schemas.BudgetFigures(projectId=str(project.pk), **serializers.budget(status))


def _nanos(dollars: float) -> int:
    """Nano-dollars, rounded half to even. `repr` gives the decimal form that the sender wrote."""
    return nanos_from_dollars(Decimal(repr(dollars)))


def _budget_answer(result: checks.BudgetCheck) -> dict[str, Any]:
    budget = result.budget
    limit, remaining = budget.limit_nanos, budget.remaining_nanos
    return {
        "allowed": result.allowed,
        "budgetLimit": None if limit is None else dollars(limit),
        "spent": dollars(budget.spent_nanos),
        "reserved": dollars(budget.reserved_nanos),
        "remaining": None if remaining is None else dollars(remaining),
        "state": budget.state,
    }
