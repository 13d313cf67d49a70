"""A product's first page, and how to connect it."""

from typing import Any

from django.conf import settings
from django.urls import reverse

from aicost import formats, markup, queries
from aicost.presentation import budget, kpis, tabs, unpriced
from aicost.presentation.runs import run_row
from aicost.queries import runs
from billing import periods
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


def connection(project: Project, site: str) -> dict[str, Any]:
    """`site` is the address under which the person reached us."""
    zone = periods.zone(project.time_zone)
    return {
        "address": site.rstrip("/") + reverse("product", args=[project.pk]),
        "first_usage": project.first_usage_at and markup.moment(project.first_usage_at, zone),
        "credits_per_dollar": formats.count(settings.CREDITS_PER_DOLLAR),
    }
