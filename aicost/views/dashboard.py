"""Pages and the dashboard's fragments: resolve access, ask, render."""

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from aicost import queries
from aicost.http.decorators import page, render_product, revalidated
from aicost.presentation import overview
from aicost.presentation import revenue as revenue_shown
from aicost.presentation import runs as runs_shown
from aicost.queries import runs
from aicost.url_state import runs as run_urls
from aicost.url_state.dashboard import DashboardState
from aicost.url_state.portfolio import PortfolioState
from aicost.views import fragments
from products.access import project_for
from products.models import Project


@page
@require_safe
def portfolio(request: HttpRequest) -> HttpResponse:
    return render(request, "aicost/portfolio.html", {"here": "portfolio", "products": _products(request)})


@page
@require_safe
def portfolio_products(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_products(request))


@page
@require_safe
def product(request: HttpRequest, project_id: str) -> HttpResponse:
    project = project_for(request.user, project_id)
    return render_product(request, "product", project, overview.overview(project))


@page
@require_safe
def dashboard(request: HttpRequest, project_id: str) -> HttpResponse:
    state = _state(request, project_id)
    return render_product(request, "dashboard", state.project, {"month": fragments.html(state, "month")})


@revalidated
@require_safe
def dashboard_month(request: HttpRequest, project_id: str) -> HttpResponse:
    return fragments.answer(request, _state(request, project_id), "month")


@revalidated
@require_safe
def dashboard_daily(request: HttpRequest, project_id: str) -> HttpResponse:
    return fragments.answer(request, _state(request, project_id), "daily")


@revalidated
@require_safe
def dashboard_tabs(request: HttpRequest, project_id: str) -> HttpResponse:
    return fragments.answer(request, _state(request, project_id), "tabs")


@page
@require_safe
def pipelines(request: HttpRequest, project_id: str) -> HttpResponseBase:
    if "run" in request.GET:  # where an id can't stand in a path
        return pipeline(request, project_id, request.GET["run"])
    project = project_for(request.user, project_id)
    found = runs.run_page(project, run_urls.read_cursor(request.GET))
    return render_product(request, "pipelines", project, runs_shown.run_list(project, found, request.GET))


@page
@require_safe
def pipeline(request: HttpRequest, project_id: str, run_id: str) -> HttpResponse:
    project = project_for(request.user, project_id)
    return render_product(
        request, "pipeline", project, runs_shown.one_run(project, runs.run_detail(project, run_id))
    )


@page
@require_safe
def revenue(request: HttpRequest, project_id: str) -> HttpResponse:
    project = project_for(request.user, project_id)
    shown = revenue_shown.revenue(queries.revenue(project), queries.today(project))
    return render_product(request, "revenue", project, {"revenue": shown})


def _products(request: HttpRequest) -> SafeString:
    state = PortfolioState.read(request.GET)
    visible = list(Project.objects.visible_to(request.user).unarchived().select_related("owner"))
    if not visible:
        return render_to_string("aicost/_no_products.html", {"user": request.user})
    return fragments.products(visible, state)


def _state(request: HttpRequest, project_id: str) -> DashboardState:
    return DashboardState.read(project_for(request.user, project_id), request.GET)
