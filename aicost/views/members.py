"""A product's members page and its actions."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from aicost.http.decorators import page
from aicost.presentation import members as members_page
from aicost.views.product import render_product
from products import members as memberships
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
        messages.success(request, f"{added.user} is now a {added.role}.")
        return redirect("members", project.pk)
    allowed = may_change(request.user, project)
    people = members_page.page(project, list(memberships.members_of(project)), request.user, allowed)
    parts = {"form": form, **people}
    return render_product(request, "members", project, parts, status=422 if form.is_bound else 200)


@page
@require_POST
def set_role(request: HttpRequest, project_id: str, user_id: int) -> HttpResponse:
    project = project_for(request.user, project_id, need="change")
    member = _member(project, user_id)
    form = RoleForm(request.POST)
    if form.is_valid():
        memberships.set_role(project, member, form.cleaned_data["role"], by=request.user)
        messages.success(request, f"{member} is now a {form.cleaned_data['role']}.")
    else:
        messages.error(request, "There is no such role. Nothing has been changed.")
    return redirect("members", project.pk)


@page
@require_POST
def remove(request: HttpRequest, project_id: str, user_id: int) -> HttpResponse:
    project = project_for(request.user, project_id, need="change")
    member = _member(project, user_id)
    memberships.remove(project, member, by=request.user)
    if member == request.user:
        messages.success(request, f"You have left {project}.")
        return redirect("portfolio")
    messages.success(request, f"{member} has been removed.")
    return redirect("members", project.pk)


def _member(project: Project, user_id: int) -> Any:
    """The member with this user id. Raises `Http404` for anyone else, the owner included."""
    member = memberships.member_of(project, user_id)
    if member is None:
        raise Http404("No such member.")
    return member
