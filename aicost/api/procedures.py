"""The procedures. Whoever imports this has all of them in `PROCEDURES`.

A function takes the caller and the validated input, and raises Django's own exceptions: `Http404`
for a product that the caller may not see, `PermissionDenied`, `ValidationError` naming a field.
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
from aicost.cache import Span, kept, key_of
from aicost.formatting import text as formats
from billing import periods
from billing.budgets import checks, limits
from billing.money import dollars, nanos_from_dollars
from products.access import Caller, project_for
from products.colors import LIGHT
from products.models import Project

__all__ = ["PROCEDURES"]

Function = Callable[..., Any]


def _of_product(span: Span) -> Callable[[Function], Function]:
    """Reads of one product: the caller's access comes first, then the answer, which is kept that long."""

    def over(function: Function) -> Function:
        @wraps(function)
        def answer(caller: Caller, given: schemas.OfProject) -> Any:
            project = project_for(caller, given.projectId)
            asked = f"{function.__name__} {given.model_dump(exclude_unset=True)!a}"
            return kept(key_of(asked, span, project), lambda: function(project, given))

        return answer

    return over


@procedure("query")
@_of_product("minute")
def get_monthly_summary(project: Project, given: schemas.OfMonth) -> schemas.MonthlySummary:
    """A month's spend, its breakdown by agent type, the five costliest runs, and the budget."""
    month = _month(project, given)
    summary = queries.month_summary(project, month)
    return schemas.MonthlySummary(
        month=periods.month_text(summary.month),
        totalCost=dollars(summary.cost),
        totalTokens=summary.tokens,
        totalJobs=summary.jobs,
        unpricedTransactions=summary.unpriced,
        unpricedModels=serializers.unpriced(project, summary),
        waste=serializers.waste(summary),
        agentBreakdown=[serializers.agent(summary, agent) for agent in summary.agents],
        topRuns=[serializers.run(run) for run in queries.top_runs(project, month)],
        **serializers.budget(summary.budget),
        forecast=serializers.forecast(project, summary),
    )


@procedure("query")
@_of_product("day")
def get_monthly_trend(project: Project, given: schemas.OfMonth) -> list[schemas.MonthFigures]:
    """Six months of spend, oldest first; months without any are zeros."""
    month = _month(project, given)
    return [
        schemas.MonthFigures(
            month=periods.month_text(one.start),
            cost=dollars(one.cost),
            totalTokens=one.tokens,
            jobCount=one.jobs,
        )
        for one in queries.monthly_trend(project, month)
    ]


@procedure("query")
def get_cross_project_summary(caller: Caller) -> schemas.CrossProjectSummary:
    """This month's spend of all products that the caller owns, each in its own billing zone."""
    caller.require("read")
    projects = list(caller.owned())
    return kept(key_of("cross-project summary", "minute", *projects), lambda: _side_by_side(projects))


def _side_by_side(projects: list[Project]) -> schemas.CrossProjectSummary:
    portfolio = queries.portfolio(projects)
    return schemas.CrossProjectSummary(
        totalCost=dollars(portfolio.cost),
        totalTokens=portfolio.tokens,
        totalJobs=portfolio.jobs,
        projects=[
            schemas.ProjectFigures(
                projectId=str(one.project.pk),
                name=one.project.name,
                cost=dollars(one.cost),
                totalTokens=one.tokens,
                jobCount=one.jobs,
                **serializers.budget(one.budget),
                forecast=schemas.Outlook(**serializers.outlook(one.forecast)) if one.forecast else None,
            )
            for one in portfolio.projects
        ],
    )


@procedure("mutation")
def set_budget_limit(caller: Caller, given: schemas.NewLimit) -> schemas.BudgetFigures:
    """Set the monthly limit of a product. Needs its owner or a manager, and a token the scope `write`."""
    project = project_for(caller, given.projectId, "change")
    limit = Decimal(repr(given.limitDollars))
    limits.set_limit(project, limit, by=caller.user)
    return _budget_figures(project)


@procedure("mutation")
def clear_budget_limit(caller: Caller, given: schemas.OfProject) -> schemas.BudgetFigures:
    """Take the monthly limit of a product away."""
    project = project_for(caller, given.projectId, "change")
    limits.set_limit(project, None, by=caller.user)
    return _budget_figures(project)


@procedure("query", need="ask")
def check_budget(caller: Caller, given: schemas.Estimated) -> schemas.BudgetAnswer:
    """Ask before spending whether the budget allows an estimate. Changes nothing and holds nothing."""
    project = project_for(caller, given.projectId, "ask")
    answer = checks.check(project, _nanos(given.estimateDollars))
    return schemas.BudgetAnswer(**_answer(answer))


@procedure("mutation", need="reserve")
def reserve_budget(caller: Caller, given: schemas.ToReserve) -> schemas.ReservationAnswer:
    """Ask as `checkBudget` does and, if allowed, hold the estimate for 15 minutes.

    It ends earlier when usage with its `reservationId` arrives. The same `reservationId` again
    replaces what it holds. Needs the product's owner or a manager, and a token the scope `write` or `ingest`.
    """
    project = project_for(caller, given.projectId, "reserve")
    if project.archived_at:
        raise PermissionDenied("This product is archived and takes no usage.")
    estimate = _nanos(given.estimateDollars)
    answer = checks.reserve(project, estimate, by=caller.user, reservation_id=given.reservationId)
    held = answer.reservation
    return schemas.ReservationAnswer(
        **_answer(answer),
        reservationId=held.reservation_id if held else None,
        expiresAt=formats.utc(held.expires_at) if held else None,
    )


@procedure("query")
@_of_product("day")
def get_recent_transactions(project: Project, given: schemas.OfMonth) -> list[schemas.Transaction]:
    """The last 50 deductions, newest first; with `month` the newest 50 before its end."""
    month = _month(project, given)
    return [
        schemas.Transaction(
            id=one.event_id,
            runId=one.run_id,
            jobId=one.job_id,
            agentType=one.agent_type,
            agentLabel=one.label,
            agentColor=LIGHT[one.color],
            model=one.model,
            inputTokens=one.input_tokens,
            outputTokens=one.output_tokens,
            cost=dollars(one.cost),
            unpriced=one.unpriced,
            createdAt=formats.utc(one.occurred_at),
        )
        for one in queries.recent(project, month)
    ]


@procedure("query")
@_of_product("day")
def get_daily_spend(project: Project, given: schemas.OfDays) -> list[schemas.DayFigures]:
    """The last 7, 14, 30 or 90 days, oldest first, up to today or, for a past month, its last day."""
    month = _month(project, given)
    return [
        schemas.DayFigures(
            date=day.start.isoformat(), cost=dollars(day.cost), tokens=day.tokens, jobs=day.jobs
        )
        for day in queries.daily_spend(project, given.days, month)
    ]


def _month(project: Project, given: schemas.OfMonth | schemas.OfDays) -> date | None:
    """None where none was told: the figures of the present one need no end."""
    told = "month" in given.model_fields_set  # an empty text is told, too, and wrong
    return queries.month_from(project, given.month) if told else None


def _budget_figures(project: Project) -> schemas.BudgetFigures:
    status = queries.month_summary(project).budget
    return schemas.BudgetFigures(projectId=str(project.pk), **serializers.budget(status))


def _nanos(dollars: float) -> int:
    """Of the shortest decimal form, which is what the sender wrote; rounded once, half to even."""
    return nanos_from_dollars(Decimal(repr(dollars)))


def _answer(answer: checks.BudgetCheck) -> dict[str, Any]:
    budget = answer.budget
    limit, remaining = budget.limit_nanos, budget.remaining_nanos
    return {
        "allowed": answer.allowed,
        "budgetLimit": None if limit is None else dollars(limit),
        "spent": dollars(budget.spent_nanos),
        "reserved": dollars(budget.reserved_nanos),
        "remaining": None if remaining is None else dollars(remaining),
        "state": budget.state,
    }
