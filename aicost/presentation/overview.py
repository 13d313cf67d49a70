"""A product's first page."""

from typing import Any

from aicost.formatting import text
from aicost.presentation.dashboard import budget, kpis, tabs, unpriced
from aicost.presentation.runs import run_row
from aicost.queries import FactorUsage, MonthSummary, RunCost, UnpricedModel
from products.models import Project

AGENTS = 5
RUNS = 6


def overview(
    project: Project,
    summary: MonthSummary,
    models: list[UnpricedModel],
    without: list[FactorUsage],
    newest: list[RunCost],
) -> dict[str, Any]:
    """`models` are the month's unpriced models, `without` those priced without a reported factor."""
    return {
        "month_name": text.month(summary.month),
        "kpis": kpis.cards(summary),
        "budget": budget.bar(summary.budget, summary.month),
        "unpriced": unpriced.notice(summary, models, without),
        "agents": tabs.agent_rows(summary)[:AGENTS],
        "runs": [run_row(project, run) for run in newest[:RUNS]],
    }
