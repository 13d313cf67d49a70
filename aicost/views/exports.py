"""Downloads of the tables in `aicost.exports`, with the same query parameters as the pages."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_safe

from aicost import queries
from aicost.cache import key_of
from aicost.exports import audit as audit_export
from aicost.exports import budget as budget_export
from aicost.exports import dashboard as dashboard_export
from aicost.exports import portfolio as portfolio_export
from aicost.exports import runs as run_exports
from aicost.exports import tabular
from aicost.exports.tabular import Table
from aicost.http.decorators import page, respond_unless_cached, revalidated
from aicost.queries import audit as audit_queries
from aicost.url_state.dashboard import DashboardState
from aicost.url_state.portfolio import PortfolioState
from billing import periods
from products.access import project_for

FORMATS = {
    "csv": ("text/csv; charset=utf-8", tabular.csv_lines),
    "json": ("application/json", tabular.json_lines),
}


@revalidated
@require_safe
def dashboard_table(request: HttpRequest, project_id: str, table: str, form: str) -> HttpResponse:
    state = DashboardState.read(project_for(request.user, project_id), request.GET)
    make = dashboard_export.TABLES.get(table)
    if make is None or form not in FORMATS:
        raise Http404("No such table.")
    name = f"{_slug(state.project)}-{table}-{periods.month_text(state.month)}"
    key = key_of(f"{table}.{form}{state.query}", "day", state.project)
    return respond_unless_cached(request, key, lambda: _download(make(state), form, name))


@page
@require_safe
def ledger(request: HttpRequest, project_id: str) -> StreamingHttpResponse:
    state = DashboardState.read(project_for(request.user, project_id), request.GET)
    name = f"{_slug(state.project)}-ledger-{periods.month_text(state.month)}.csv"
    lines = dashboard_export.ledger_lines(state.project, state.month)
    return StreamingHttpResponse(lines, content_type=FORMATS["csv"][0], headers=_as_file(name))


@revalidated
@require_safe
def portfolio(request: HttpRequest, form: str) -> HttpResponse:
    state = PortfolioState.read(request.GET)
    found = queries.portfolio(queries.visible_projects(request.user))
    return _download(portfolio_export.portfolio(state.of(found)), form, "portfolio")


@revalidated
@require_safe
def revenue(request: HttpRequest, project_id: str, form: str) -> HttpResponse:
    project = project_for(request.user, project_id)
    return _download(dashboard_export.revenue(project), form, f"{_slug(project)}-revenue")


@page
@require_safe
def pipelines(request: HttpRequest, project_id: str, form: str) -> StreamingHttpResponse:
    project = project_for(request.user, project_id)
    return _stream(run_exports.pipelines(project), form, f"{_slug(project)}-pipelines")


@page
@require_safe
def run_table(request: HttpRequest, project_id: str, table: str, form: str) -> StreamingHttpResponse:
    """The query parameter `run` names the run, because a run id may contain any character."""
    project = project_for(request.user, project_id)
    make = run_exports.RUN_TABLES.get(table)
    if make is None:
        raise Http404("No such table.")
    return _stream(make(project, request.GET.get("run", "")), form, f"{_slug(project)}-run-{table}")


@revalidated
@require_safe
def limits(request: HttpRequest, project_id: str, form: str) -> HttpResponse:
    project = project_for(request.user, project_id)
    return _download(budget_export.limits(project), form, f"{_slug(project)}-limits")


@page
@require_safe
def audit_log(request: HttpRequest, project_id: str) -> StreamingHttpResponse:
    project = project_for(request.user, project_id, need="view_audit_log")
    kind = audit_queries.kind_from(request.GET.get("kind"))
    entries = audit_queries.of_product(project, kind).iterator(chunk_size=2_000)
    lines = tabular.csv_rows(audit_export.COLUMNS, audit_export.rows(entries))
    name = f"{_slug(project)}-audit{kind and f'-{kind}'}.csv"
    return StreamingHttpResponse(lines, content_type=FORMATS["csv"][0], headers=_as_file(name))


def _download(table: Table, form: str, name: str) -> HttpResponse:
    content_type, write = _format_of(form)
    return HttpResponse("".join(write(table)), content_type=content_type, headers=_as_file(f"{name}.{form}"))


def _stream(table: Table, form: str, name: str) -> StreamingHttpResponse:
    """A streamed download, for tables of any size."""
    content_type, write = _format_of(form)
    return StreamingHttpResponse(write(table), content_type=content_type, headers=_as_file(f"{name}.{form}"))


def _format_of(form: str) -> tuple[str, Any]:
    if form not in FORMATS:
        raise Http404("No such format.")
    return FORMATS[form]


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _slug(project: Any) -> str:
    """A name for files: the product's id, because its name may contain any character."""
    return f"product-{project.pk}"
