"""Everything that the dashboard shows of a month, in as few queries as possible."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from aicost.queries.changes import Changes, changes
from aicost.queries.connect.lookalikes import DoubleCount, undecided_lookalikes
from aicost.queries.forecast import BudgetForecast, budget_forecast, earliest_day
from aicost.queries.month import (
    FactorUsage,
    MonthSummary,
    UnpricedModel,
    month_summary,
    priced_without,
    summary_of,
    unpriced_models,
)
from aicost.queries.runs import RunCost, top_runs
from aicost.queries.series import Spend, day_range, days_with_usage, filled, monthly_trend
from aicost.queries.transactions import Deduction, recent
from billing import periods
from billing.budgets import limits as budget_limits
from billing.budgets.limits import BudgetStatus
from billing.clock import this_month, today
from billing.ledger import reservations
from billing.ledger.reservations import Held
from products.models import Project


@dataclass(frozen=True)
class Baseline:
    """What a month's KPIs are compared with: whole days of the month before, `first` and `last` included."""

    first: date
    last: date
    cost: int
    tokens: int
    jobs: int
    budget: BudgetStatus | None
    """The spend of these days against the limit of their own month."""


@dataclass(frozen=True)
class MonthPage:
    """What the dashboard shows of a month outside the tabs."""

    summary: MonthSummary
    baseline: Baseline
    daily: list[Spend]
    forecast: BudgetForecast | None
    """Only for the current month."""


def month_page(project: Project, days: int, month: date | None = None) -> MonthPage:
    """Summary, comparison, daily series and forecast in three queries, or four for the current month."""
    start = month or this_month(project)
    first, last = periods.same_days_before(start, today(project))
    limits = budget_limits.limits_of(project, [start, periods.month_of(first)])
    span = day_range(project, days, month)
    is_current = start == this_month(project)
    earliest = [first, span[0], *([earliest_day(project)] if is_current else [])]
    found = days_with_usage(project, min(earliest), span[-1])
    summary = summary_of(project, start, limits[start])
    return MonthPage(
        summary=summary,
        baseline=_baseline(first, last, found, limits[periods.month_of(first)]),
        daily=filled(span, found),
        forecast=budget_forecast(project, summary, found) if is_current else None,
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


Panel = MonthSummary | list[Spend] | list[RunCost] | list[Deduction]
"""What one tab shows: agent types (in the summary), months, top runs, or recent deductions."""


@dataclass(frozen=True)
class Dashboard:
    """Everything the dashboard shows of a month, including the open tab."""

    page: MonthPage
    panel: Panel
    changes: Changes
    unpriced: list[UnpricedModel]
    priced_without: list[FactorUsage]
    lookalikes: list[DoubleCount]
    reserved: Held | None
    """None if nothing can be reserved: there is no limit, or the month is past."""


def dashboard(project: Project, tab: str, days: int, month: date | None = None) -> Dashboard:
    """`tab` is a key of `PANELS`, `days` the length of the chart. `month` defaults to the current one."""
    page = month_page(project, days, month)
    summary = page.summary
    return Dashboard(
        page=page,
        panel=panel(project, tab, month, summary),
        changes=changes(project, month),
        unpriced=unpriced_models(project, summary.month) if summary.unpriced else [],
        priced_without=priced_without(project, summary.month),
        lookalikes=undecided_lookalikes(project, summary.month),
        reserved=reservations.held(project) if summary.budget and month is None else None,
    )


def panel(
    project: Project, tab: str, month: date | None = None, summary: MonthSummary | None = None
) -> Panel:
    """The data of one tab. Pass the month's `summary` if you have it, to save a query."""
    if tab == "agents" and summary is not None:
        return summary
    return PANELS[tab](project, month)


PANELS: dict[str, Callable[[Project, date | None], Panel]] = {
    "agents": month_summary,
    "trend": monthly_trend,
    "runs": top_runs,
    "recent": recent,
}
