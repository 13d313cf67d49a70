"""A product's first page."""

from typing import Any

from aicost.formatting import text
from aicost.presentation.dashboard import budget, kpis, tabs, unpriced
from aicost.presentation.runs import run_row
from aicost.queries import MonthSummary, RunCost, UnpricedModel
from products.models import Project

AGENTS = 5
RUNS = 6


def overview(
    project: Project, summary: MonthSummary, models: list[UnpricedModel], newest: list[RunCost]
) -> dict[str, Any]:
    """`models` are the month's unpriced models, `newest` the newest runs."""
    return {
        "month_name": text.month(summary.month),
        "kpis": kpis.cards(summary),
        "budget": budget.bar(summary.budget, summary.month),
        "unpriced": unpriced.notice(summary, models),
        "agents": tabs.agent_rows(summary)[:AGENTS],
        "runs": [run_row(project, run) for run in newest[:RUNS]],
    }
