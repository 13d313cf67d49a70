"""The budget page, and the limit's form in place on the dashboard."""

from urllib.parse import urlsplit

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from aicost import queries
from aicost.http.decorators import page
from aicost.presentation.dashboard import budget as budget_panel
from aicost.presentation.dashboard import month, reservations
from aicost.url_state.dashboard import DashboardState
from aicost.views.product import render_product
from billing.budgets import limits, policies
from billing.forms import BudgetForm, ClearBudgetForm, PolicyForm
from billing.models import BudgetChange
from products.access import may_change, project_for
from products.models import Project


@page
@require_http_methods(["GET", "HEAD", "POST"])
def budget(request: HttpRequest, project_id: str) -> HttpResponse:
    project = project_for(request.user, project_id, need="change" if request.method == "POST" else "read")
    form = _budget_form(request, project)
    if form.is_bound and form.is_valid():
        messages.success(request, budget_panel.confirmation(_set_limit(request, project, form)))
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
        messages.success(request, reservations.policy_confirmation(change))
        return redirect("budget", project.pk)
    return _budget_page(request, project, _current_limit_form(project), form)


def _budget_page(
    request: HttpRequest, project: Project, form: BudgetForm, policy_form: PolicyForm
) -> HttpResponse:
    context = {
        "form": form,
        "policy_form": policy_form,
        "may_change": may_change(request.user, project),
        **budget_panel.page(project, queries.budget_page(project)),
    }
    status = 422 if form.is_bound or policy_form.is_bound else 200
    return render_product(request, "budget", project, context, status=status)


def _budget_form(request: HttpRequest, project: Project) -> BudgetForm:
    if request.method != "POST":
        return _current_limit_form(project)
    return (ClearBudgetForm if "clear" in request.POST else BudgetForm)(request.POST)


def _current_limit_form(project: Project) -> BudgetForm:
    return BudgetForm(initial={"limit": budget_panel.typed_limit(queries.limit_now(project))})


@page
@require_http_methods(["GET", "HEAD", "POST"])
def limit(request: HttpRequest, project_id: str) -> HttpResponse:
    """The form in place, for htmx. After a change the response is the dashboard's updated month."""
    project = project_for(request.user, project_id, need="change" if request.method == "POST" else "read")
    if not request.htmx:  # type: ignore[attr-defined]  # set by django-htmx's middleware
        return redirect("budget", project.pk)
    form = _budget_form(request, project)
    if form.is_bound and form.is_valid():
        return _updated_month(request, project, _set_limit(request, project, form))
    form.fields["limit"].widget.attrs["autofocus"] = True  # htmx moves the focus there
    context = {"form": form, "may_change": may_change(request.user, project)}
    return render_product(request, "_limit", project, context, status=422 if form.is_bound else 200)


def _set_limit(request: HttpRequest, project: Project, form: BudgetForm) -> BudgetChange | None:
    cleaned = form.cleaned_data
    return limits.set_limit(project, cleaned["limit"], by=request.user, note=cleaned["note"])


def _updated_month(request: HttpRequest, project: Project, change: BudgetChange | None) -> HttpResponse:
    state = _current_state(request, project)
    found = queries.dashboard(project, state.tab, state.days, state.past_month)
    context = month.month(state, found) | {
        "confirmation": budget_panel.confirmation(change),
        "settles": True,
    }
    response = render_product(request, "_month", project, context)
    response["HX-Retarget"] = "#month"
    return response


def _current_state(request: HttpRequest, project: Project) -> DashboardState:
    """The dashboard's state in the browser's address bar; the default if that is not a dashboard."""
    address = request.htmx.current_url or ""  # type: ignore[attr-defined]
    try:
        return DashboardState.read(project, QueryDict(urlsplit(address).query))
    except (ValidationError, ValueError):
        return DashboardState.read(project, QueryDict())
