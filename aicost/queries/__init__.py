"""The read side: every figure that pages and procedures show, from the rollups, each by one function.

Costs are whole nano-dollars, tokens and jobs whole numbers, days and months in the project's
billing zone. `month` is the first day of a month, the present one where it is left out.
"""

from aicost.queries.budget import budget_history
from aicost.queries.changes import AgentTypeChange, Changes, changes
from aicost.queries.dashboard import Baseline, MonthPage, month_page
from aicost.queries.forecast import BudgetForecast, RunningJobs, budget_forecast
from aicost.queries.month import AgentTypeSpend, MonthSummary, dollars_each, month_summary
from aicost.queries.months import month_from, this_month, today
from aicost.queries.portfolio import Portfolio, ProjectSpend, portfolio
from aicost.queries.revenue import CreditsIn, Revenue, revenue
from aicost.queries.series import Spend, daily_spend, monthly_trend
from aicost.queries.sorting import arranged, counts
from aicost.queries.transactions import (
    Deduction,
    RunCost,
    deductions,
    each_deduction,
    newest,
    recent,
    top_runs,
)
from aicost.queries.unpriced import UnpricedModel, unpriced_models

__all__ = [
    "AgentTypeChange",
    "AgentTypeSpend",
    "Baseline",
    "BudgetForecast",
    "Changes",
    "CreditsIn",
    "Deduction",
    "MonthPage",
    "MonthSummary",
    "Portfolio",
    "ProjectSpend",
    "Revenue",
    "RunCost",
    "RunningJobs",
    "Spend",
    "UnpricedModel",
    "arranged",
    "budget_forecast",
    "budget_history",
    "changes",
    "counts",
    "daily_spend",
    "deductions",
    "dollars_each",
    "each_deduction",
    "month_from",
    "month_page",
    "month_summary",
    "monthly_trend",
    "newest",
    "portfolio",
    "recent",
    "revenue",
    "this_month",
    "today",
    "top_runs",
    "unpriced_models",
]
