"""The list of a product's pipeline runs, and the page of a run."""

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from aicost.http.decorators import page
from aicost.presentation import runs as runs_page
from aicost.queries import runs
from aicost.url_state import runs as run_urls
from aicost.views.product import render_product
from products.access import project_for


@page
@require_safe
def pipelines(request: HttpRequest, project_id: str) -> HttpResponseBase:
    if "run" in request.GET:  # for ids that can't be part of a path
        return pipeline(request, project_id, request.GET["run"])
    project = project_for(request.user, project_id)
    found = runs.run_page(project, run_urls.read_cursor(request.GET))
    return render_product(request, "pipelines", project, runs_page.run_list(project, found, request.GET))


@page
@require_safe
def pipeline(request: HttpRequest, project_id: str, run_id: str) -> HttpResponse:
    project = project_for(request.user, project_id)
    return render_product(
        request, "pipeline", project, runs_page.one_run(project, runs.run_detail(project, run_id))
    )
