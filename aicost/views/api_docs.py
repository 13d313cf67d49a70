"""The page that documents the API and both its transports."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from aicost import queries
from aicost.http.authentication import BAD_TOKENS_A_MINUTE
from aicost.http.decorators import page
from aicost.presentation.api_docs import procedures
from aicost.presentation.api_docs.examples import Site
from products.access import may_change

NO_PROJECT = "PROJECT_ID"
"""Placeholder in the examples for a person without products."""


@page
@require_safe
def api(request: HttpRequest) -> HttpResponse:
    project = queries.example_project(request.user)
    site = Site(
        trpc=request.build_absolute_uri(reverse("trpc", args=[""])),
        jsonrpc=request.build_absolute_uri(reverse("jsonrpc")),
        project_id=str(project.pk) if project else NO_PROJECT,
    )
    context = procedures.page(
        project,
        site,
        may_change=project is not None and may_change(request.user, project),
        bad_tokens_a_minute=BAD_TOKENS_A_MINUTE,
    )
    return render(request, "aicost/api.html", context)
