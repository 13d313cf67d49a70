"""A product's first page."""

from typing import Any

from aicost import queries
from aicost.formatting import text as formats
from aicost.presentation.dashboard import budget, kpis, tabs, unpriced
from aicost.presentation.runs import run_row
from aicost.queries import runs
from products.models import Project

AGENTS = 5
RUNS = 6


def overview(project: Project) -> dict[str, Any]:
    summary = queries.month_summary(project)
    return {
        "month_name": formats.month(summary.month),
        "kpis": kpis.cards(summary),
        "budget": budget.bar(summary.budget, summary.month),
        "unpriced": unpriced.notice(project, summary),
        "agents": tabs.agent_rows(summary)[:AGENTS],
        "runs": [run_row(project, run) for run in runs.run_page(project).runs[:RUNS]],
    }
