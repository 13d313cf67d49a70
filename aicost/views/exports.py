"""Downloads: the tables of `aicost.exports.dashboard`, by the same addresses' words as the pages."""

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

FORMS = {
    "csv": ("text/csv; charset=utf-8", tabular.csv_lines),
    "json": ("application/json", tabular.json_lines),
}


@revalidated
@require_safe
def dashboard_table(request: HttpRequest, project_id: str, table: str, form: str) -> HttpResponse:
    state = DashboardState.read(project_for(request.user, project_id), request.GET)
    make = dashboard_export.OF_DASHBOARD.get(table)
    if make is None or form not in FORMS:
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
    return StreamingHttpResponse(lines, content_type=FORMS["csv"][0], headers=_as_file(name))


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
    """The run is named by the parameter `run`: its id may hold anything."""
    project = project_for(request.user, project_id)
    make = run_exports.OF_RUN.get(table)
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
    return StreamingHttpResponse(lines, content_type=FORMS["csv"][0], headers=_as_file(name))


def _download(table: Table, form: str, name: str) -> HttpResponse:
    kind, write = _form(form)
    return HttpResponse("".join(write(table)), content_type=kind, headers=_as_file(f"{name}.{form}"))


def _stream(table: Table, form: str, name: str) -> StreamingHttpResponse:
    """However large."""
    kind, write = _form(form)
    return StreamingHttpResponse(write(table), content_type=kind, headers=_as_file(f"{name}.{form}"))


def _form(form: str) -> tuple[str, Any]:
    if form not in FORMS:
        raise Http404("No such format.")
    return FORMS[form]


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _slug(project: Any) -> str:
    """A product's name may hold anything; its id is safe in a file's name."""
    return f"product-{project.pk}"
