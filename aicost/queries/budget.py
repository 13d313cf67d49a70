"""A product's budget page: this month against its limit, reservations, and the limit's history."""

from dataclasses import dataclass

from django.db.models import QuerySet

from aicost.queries.forecast import BudgetForecast, budget_forecast
from aicost.queries.month import MonthSummary, month_summary
from billing.budgets import limits
from billing.ledger import reservations
from billing.ledger.reservations import Held
from billing.models import BudgetChange
from products.models import Project

BUDGET_CHANGES = 100


@dataclass(frozen=True)
class BudgetPage:
    summary: MonthSummary
    forecast: BudgetForecast
    reserved: Held
    history: list[BudgetChange]


def budget_page(project: Project) -> BudgetPage:
    summary = month_summary(project)
    return BudgetPage(
        summary=summary,
        forecast=budget_forecast(project, summary),
        reserved=reservations.held(project),
        history=budget_history(project),
    )


def budget_history(project: Project) -> list[BudgetChange]:
    """The latest 100 changes of a project's limit and policy, newest first."""
    return list(every_budget_change(project)[:BUDGET_CHANGES])


def every_budget_change(project: Project) -> QuerySet[BudgetChange]:
    """All changes of a project's limit and policy, newest first."""
    return BudgetChange.objects.filter(project=project).select_related("changed_by")


def limit_now(project: Project) -> int | None:
    """The limit in force, in nano-dollars, or None."""
    return limits.limits_now([project]).get(project.pk)
