"""What the dashboard shows of a month besides its tabs, with as few questions as can be."""

from dataclasses import dataclass
from datetime import date

from aicost.queries.forecast import BudgetForecast, budget_forecast, earliest_day
from aicost.queries.month import MonthSummary, summary_of
from aicost.queries.months import this_month, today
from aicost.queries.series import Spend, day_range, days_with_usage, filled
from billing import periods
from billing.budgets import limits as budget_limits
from billing.budgets.limits import BudgetStatus
from products.models import Project


@dataclass(frozen=True)
class Baseline:
    """What a month's KPIs are compared with: whole days of the month before, both included."""

    first: date
    last: date
    cost: int
    tokens: int
    jobs: int
    budget: BudgetStatus | None
    """These days' spend against the limit of their own month."""


@dataclass(frozen=True)
class MonthPage:
    """What the dashboard shows of a month besides its tabs."""

    summary: MonthSummary
    baseline: Baseline
    daily: list[Spend]
    forecast: BudgetForecast | None
    """Of the present month alone."""


def month_page(project: Project, days: int, month: date | None = None) -> MonthPage:
    """Summary, comparison, daily series and forecast together: three queries, in the present month four."""
    shown = month or this_month(project)
    first, last = periods.same_days_before(shown, today(project))
    limits = budget_limits.limits_of(project, [shown, periods.month_of(first)])
    span = day_range(project, days, month)
    present = shown == this_month(project)
    earliest = [first, span[0], *([earliest_day(project)] if present else [])]
    found = days_with_usage(project, min(earliest), span[-1])
    summary = summary_of(project, shown, limits[shown])
    return MonthPage(
        summary=summary,
        baseline=_baseline(first, last, found, limits[periods.month_of(first)]),
        daily=filled(span, found),
        forecast=budget_forecast(project, summary, found) if present else None,
    )


def _baseline(first: date, last: date, found: dict[date, Spend], limit: int | None) -> Baseline:
    days = [spend for day, spend in found.items() if first <= day <= last]
    cost = sum(day.cost for day in days)
    return Baseline(
        first=first,
        last=last,
        cost=cost,
        tokens=sum(day.tokens for day in days),
        jobs=sum(day.jobs for day in days),
        budget=budget_limits.status(limit, cost),
    )
