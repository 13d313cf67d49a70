"""A product's people, and what they did."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from aicost.http.decorators import page, render_product
from aicost.presentation import audit as audit_shown
from aicost.presentation import members as shown
from aicost.queries import audit as audit_queries
from aicost.url_state.runs import page_from
from products import members as acts
from products.access import may_change, project_for
from products.forms import MemberForm, RoleForm
from products.models import Project


@page
@require_http_methods(["GET", "HEAD", "POST"])
def members(request: HttpRequest, project_id: str) -> HttpResponse:
    project = project_for(request.user, project_id, need="change" if request.method == "POST" else "read")
    form = MemberForm(request.POST if request.method == "POST" else None)
    added = form.add(project, request.user) if form.is_valid() else None
    if added:
        messages.success(request, f"{added.user} is a {added.role} now.")
        return redirect("members", project.pk)
    allowed = may_change(request.user, project)
    parts = {"form": form, **shown.page(project, request.user, allowed)}
    return render_product(request, "members", project, parts, status=422 if form.is_bound else 200)


@page
@require_POST
def set_role(request: HttpRequest, project_id: str, user_id: int) -> HttpResponse:
    project = project_for(request.user, project_id, need="change")
    member = _member(project, user_id)
    form = RoleForm(request.POST)
    if form.is_valid():
        acts.set_role(project, member, form.cleaned_data["role"], by=request.user)
        messages.success(request, f"{member} is a {form.cleaned_data['role']} now.")
    else:
        messages.error(request, "There is no such role; nothing is changed.")
    return redirect("members", project.pk)


@page
@require_POST
def remove(request: HttpRequest, project_id: str, user_id: int) -> HttpResponse:
    project = project_for(request.user, project_id, need="change")
    member = _member(project, user_id)
    acts.remove(project, member, by=request.user)
    if member == request.user:
        messages.success(request, f"You have left {project}.")
        return redirect("portfolio")
    messages.success(request, f"{member} is no member any more.")
    return redirect("members", project.pk)


def _member(project: Project, user_id: int) -> Any:
    """The owner is none, whom nobody changes here."""
    people = get_user_model()._default_manager.filter(memberships__project=project)
    member = people.filter(pk=user_id).first()
    if member is None:
        raise Http404("No such member.")
    return member


@page
@require_safe
def audit_log(request: HttpRequest, project_id: str) -> HttpResponse:
    project = project_for(request.user, project_id, need="view_audit_log")
    kind = audit_queries.kind_from(request.GET.get("kind"))
    parts = audit_shown.page(project, kind, page_from(request.GET.get("page")))
    return render_product(request, "audit", project, parts)
