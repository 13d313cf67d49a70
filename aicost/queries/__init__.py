"""The read side: one function for each figure that pages and procedures show, computed from the rollups.

Costs are in whole nano-dollars, and tokens and jobs are whole numbers. Days and months are in the project's
billing zone. `month` is the first day of a month and defaults to the current month.
"""

from aicost.queries.budget import BudgetPage, budget_history, budget_page, every_budget_change, limit_now
from aicost.queries.changes import AgentTypeChange, Changes, changes
from aicost.queries.connect.arrivals import Arrivals, arrivals
from aicost.queries.connect.lookalikes import DoubleCount, Settlement, settlements, undecided_lookalikes
from aicost.queries.dashboard import Baseline, Dashboard, MonthPage, Panel, dashboard, month_page, panel
from aicost.queries.forecast import BudgetForecast, RunningJobs, budget_forecast
from aicost.queries.month import (
    AgentTypeSpend,
    FactorUsage,
    MonthSummary,
    UnpricedModel,
    dollars_each,
    month_summary,
    priced_without,
    unpriced_models,
)
from aicost.queries.portfolio import Portfolio, ProjectSpend, example_project, portfolio, visible_projects
from aicost.queries.prices import Missing, ModelPrice, Prices, missing, prices
from aicost.queries.revenue import CreditsIn, Revenue, revenue
from aicost.queries.runs import RunCost, top_runs
from aicost.queries.series import Spend, daily_spend, monthly_trend
from aicost.queries.transactions import (
    Deduction,
    deductions,
    each_deduction,
    ledger_rows,
    newest,
    recent,
)

__all__ = [
    "AgentTypeChange",
    "AgentTypeSpend",
    "Arrivals",
    "Baseline",
    "BudgetForecast",
    "BudgetPage",
    "Changes",
    "CreditsIn",
    "Dashboard",
    "Deduction",
    "DoubleCount",
    "FactorUsage",
    "Missing",
    "ModelPrice",
    "MonthPage",
    "MonthSummary",
    "Panel",
    "Portfolio",
    "Prices",
    "ProjectSpend",
    "Revenue",
    "RunCost",
    "RunningJobs",
    "Settlement",
    "Spend",
    "UnpricedModel",
    "arrivals",
    "budget_forecast",
    "budget_history",
    "budget_page",
    "changes",
    "daily_spend",
    "dashboard",
    "deductions",
    "dollars_each",
    "each_deduction",
    "every_budget_change",
    "example_project",
    "ledger_rows",
    "limit_now",
    "missing",
    "month_page",
    "month_summary",
    "monthly_trend",
    "newest",
    "panel",
    "portfolio",
    "priced_without",
    "prices",
    "recent",
    "revenue",
    "settlements",
    "top_runs",
    "undecided_lookalikes",
    "unpriced_models",
    "visible_projects",
]
