"""How usage gets into a product: its set-ups, a token for them, and whether any has arrived."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_safe

from aicost.http.decorators import page, render_product
from aicost.presentation import connect as shown
from products import tokens
from products.access import project_for
from products.forms import newest_token_sent
from products.models import ApiToken, Project


@page
@require_http_methods(["GET", "HEAD", "POST"])
def connect(request: HttpRequest, project_id: str) -> HttpResponse:
    """A new token's text stands in the answer to the POST and nowhere else, as among a person's own."""
    asked = request.method == "POST"
    project = project_for(request.user, project_id, need="change" if asked else "read")
    made = _make_token(request, project) if asked else None
    parts = shown.page(request.user, project, request.build_absolute_uri("/"), made)
    again = asked and made is None
    shown_parts = {**parts, "again": again}
    return render_product(request, "connect", project, shown_parts, status=422 if again else 200)


@page
@require_safe
def arrived(request: HttpRequest, project_id: str) -> HttpResponse:
    """The page asks until usage has arrived. Nothing to swap till then: a screen reader would repeat it."""
    project = project_for(request.user, project_id)
    if request.htmx and not project.first_usage_at:  # type: ignore[attr-defined]
        return HttpResponse(status=204)
    return render_product(request, "_arrived", project, {"here": "connect", **shown.arrival(project)})


def _make_token(request: HttpRequest, project: Project) -> tuple[ApiToken, str] | None:
    """None where this very form made one before."""
    if project.archived_at:
        raise PermissionDenied("This product is archived and accepts no usage.")
    try:
        return tokens.issue_once(
            request.user,
            scope=ApiToken.Scope.INGEST,
            project=project,
            newest=newest_token_sent(request.POST),
            name=shown.token_name(project),
            by=request.user,
        )
    except tokens.AlreadyIssued:
        return None
