"""Pages and the dashboard's fragments: resolve access, ask, render."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from aicost import addresses, queries
from aicost.pages import page
from aicost.presentation import budget as budget_shown
from aicost.presentation import daily, month, overview, tabs
from aicost.presentation import portfolio as portfolio_shown
from aicost.presentation import revenue as revenue_shown
from aicost.presentation import runs as runs_shown
from aicost.presentation import spending as spending_shown
from aicost.queries import runs
from aicost.state import DashboardState
from billing import budgets, policies
from billing.forms import BudgetForm, ClearBudgetForm, PolicyForm
from products.access import may_change, project_for
from products.models import Project


@page
@require_safe
def portfolio(request: HttpRequest) -> HttpResponse:
    visible = Project.objects.visible_to(request.user).live().select_related("owner")
    return render(request, "aicost/portfolio.html", portfolio_shown.portfolio(queries.portfolio(visible)))


@page
@require_safe
def product(request: HttpRequest, project_id: str) -> HttpResponse:
    project = project_for(request.user, project_id)
    return _render(request, "product", project, overview.overview(project))


@page
@require_safe
def dashboard(request: HttpRequest, project_id: str) -> HttpResponse:
    state = _state(request, project_id)
    return _render(request, "dashboard", state.project, month.month(state))


@page
@require_safe
def dashboard_month(request: HttpRequest, project_id: str) -> HttpResponse:
    state = _state(request, project_id)
    return _render(request, "_month", state.project, month.month(state))


@page
@require_safe
def dashboard_daily(request: HttpRequest, project_id: str) -> HttpResponse:
    state = _state(request, project_id)
    return _render(request, "_daily", state.project, {"chart": daily.chart(state)})


@page
@require_safe
def dashboard_tabs(request: HttpRequest, project_id: str) -> HttpResponse:
    state = _state(request, project_id)
    return _render(request, "_tabs", state.project, {"tabs": tabs.tabs(state)})


@page
@require_safe
def pipelines(request: HttpRequest, project_id: str) -> HttpResponseBase:
    if "run" in request.GET:  # where an id can't stand in a path
        return pipeline(request, project_id, request.GET["run"])
    project = project_for(request.user, project_id)
    found = runs.run_page(project, addresses.read_cursor(request.GET))
    return _render(request, "pipelines", project, runs_shown.run_list(project, found, request.GET))


@page
@require_safe
def pipeline(request: HttpRequest, project_id: str, run_id: str) -> HttpResponse:
    project = project_for(request.user, project_id)
    return _render(
        request, "pipeline", project, runs_shown.one_run(project, runs.run_detail(project, run_id))
    )


@page
@require_safe
def revenue(request: HttpRequest, project_id: str) -> HttpResponse:
    project = project_for(request.user, project_id)
    shown = revenue_shown.revenue(queries.revenue(project), queries.today(project))
    return _render(request, "revenue", project, {"revenue": shown})


@page
@require_http_methods(["GET", "HEAD", "POST"])
def budget(request: HttpRequest, project_id: str) -> HttpResponse:
    project = project_for(request.user, project_id, need="change" if request.method == "POST" else "read")
    form = _budget_form(request, project)
    if form.is_bound and form.is_valid():
        change = budgets.set_limit(
            project, form.cleaned_data["limit"], by=request.user, note=form.cleaned_data["note"]
        )
        messages.success(request, budget_shown.told(change))
        return redirect("budget", project.pk)
    policy_form = PolicyForm(initial={"policy": policies.policy_of(project)})
    return _budget_page(request, project, form, policy_form)


@page
@require_POST
def budget_policy(request: HttpRequest, project_id: str) -> HttpResponse:
    project = project_for(request.user, project_id, "change")
    form = PolicyForm(request.POST)
    if form.is_valid():
        change = policies.set_policy(project, form.cleaned_data["policy"], by=request.user)
        messages.success(request, spending_shown.told_of_policy(change))
        return redirect("budget", project.pk)
    return _budget_page(request, project, _present_limit(project), form)


def _budget_page(
    request: HttpRequest, project: Project, form: BudgetForm, policy_form: PolicyForm
) -> HttpResponse:
    shown = {"form": form, "policy_form": policy_form, "may_change": may_change(request.user, project)}
    status = 422 if form.is_bound or policy_form.is_bound else 200
    return _render(request, "budget", project, shown | budget_shown.page(project), status=status)


def _budget_form(request: HttpRequest, project: Project) -> BudgetForm:
    if request.method != "POST":
        return _present_limit(project)
    return (ClearBudgetForm if "clear" in request.POST else BudgetForm)(request.POST)


def _present_limit(project: Project) -> BudgetForm:
    return BudgetForm(initial={"limit": budget_shown.typed_limit(project)})


def _state(request: HttpRequest, project_id: str) -> DashboardState:
    return DashboardState.read(project_for(request.user, project_id), request.GET)


def _render(
    request: HttpRequest, name: str, project: Project, shown: dict[str, Any], status: int = 200
) -> HttpResponse:
    """`name` is the template's, and tells the sidebar which of its links is the current one."""
    return render(request, f"aicost/{name}.html", {"project": project, "here": name, **shown}, status=status)
