"""The page that documents both transports for people."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from aicost.http.decorators import page
from aicost.presentation.api_docs import procedures as api_shown
from aicost.presentation.api_docs.examples import Site
from products.models import Membership, Project

NO_PROJECT = "PROJECT_ID"
"""Stands in the examples of a person who sees no product."""


@page
@require_safe
def api(request: HttpRequest) -> HttpResponse:
    project = _example_of(request.user)
    site = Site(
        trpc=request.build_absolute_uri(reverse("trpc", args=[""])),
        jsonrpc=request.build_absolute_uri(reverse("jsonrpc")),
        project_id=str(project.pk) if project else NO_PROJECT,
    )
    return render(request, "aicost/api.html", api_shown.page(request.user, project, site))


def _example_of(user: Any) -> Project | None:
    """A product of the person's; rather one in which the examples of changes work, too."""
    visible = Project.objects.visible_to(user).unarchived()
    managed = Membership.objects.filter(user=user, role=Membership.Role.MANAGER).values("project")
    return visible.filter(owner=user).first() or visible.filter(pk__in=managed).first() or visible.first()
