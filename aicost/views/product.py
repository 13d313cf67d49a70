"""A product's overview and its revenue, and how every page of a product is rendered."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from aicost import queries
from aicost.http.decorators import page
from aicost.presentation import overview
from aicost.presentation import revenue as revenue_page
from aicost.queries import runs
from billing import clock
from products.access import project_for
from products.models import Project


def render_product(
    request: HttpRequest, name: str, project: Project, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """Render the template `name`. The sidebar marks the link of that name as the current one."""
    context = {"project": project, "here": name, **context}
    return render(request, f"aicost/{name}.html", context, status=status)


@page
@require_safe
def product(request: HttpRequest, project_id: str) -> HttpResponse:
    project = project_for(request.user, project_id)
    summary = queries.month_summary(project)
    models = queries.unpriced_models(project, summary.month) if summary.unpriced else []
    without = queries.priced_without(project, summary.month)
    newest = runs.run_page(project).runs
    context = overview.overview(project, summary, models, without, newest)
    return render_product(request, "product", project, context)


@page
@require_safe
def revenue(request: HttpRequest, project_id: str) -> HttpResponse:
    project = project_for(request.user, project_id)
    view = revenue_page.revenue(queries.revenue(project), clock.today(project))
    return render_product(request, "revenue", project, {"revenue": view})
