"""The audit log of a product."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from aicost.http.decorators import page
from aicost.presentation import audit as audit_page
from aicost.queries import audit as audit_queries
from aicost.url_state.runs import page_from
from aicost.views.product import render_product
from products.access import project_for


@page
@require_safe
def audit_log(request: HttpRequest, project_id: str) -> HttpResponse:
    project = project_for(request.user, project_id, need="view_audit_log")
    kind = audit_queries.kind_from(request.GET.get("kind"))
    number = page_from(request.GET.get("page"))
    entries, more = audit_queries.page(audit_queries.of_product(project, kind), number)
    return render_product(request, "audit", project, audit_page.page(project, kind, number, entries, more))
