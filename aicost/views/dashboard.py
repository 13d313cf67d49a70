"""The dashboard of a product, and its fragments: the same for everyone with access, and cached.

Only a link to where owner and managers settle double counts depends on who asks.
"""

from collections.abc import Callable
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from aicost import queries
from aicost.cache import Span, get_or_make, key_of
from aicost.http.decorators import page, respond_unless_cached, revalidated
from aicost.presentation.dashboard import daily, month, tabs
from aicost.url_state.dashboard import DashboardState
from aicost.views.product import render_product
from products.access import may_change, project_for

Name = Literal["month", "daily", "tabs"]

_SPANS: dict[Name, Span] = {"month": "minute", "daily": "day", "tabs": "day"}
"""The month changes by the minute: the forecast depends on the time of day, and reservations expire."""


@page
@require_safe
def dashboard(request: HttpRequest, project_id: str) -> HttpResponse:
    state = _state(request, project_id)
    month_html = _html(state, "month", _settles(request, state))
    return render_product(request, "dashboard", state.project, {"month": month_html})


@revalidated
@require_safe
def dashboard_month(request: HttpRequest, project_id: str) -> HttpResponse:
    state = _state(request, project_id)
    return _respond(request, state, "month", _settles(request, state))


@revalidated
@require_safe
def dashboard_daily(request: HttpRequest, project_id: str) -> HttpResponse:
    return _respond(request, _state(request, project_id), "daily")


@revalidated
@require_safe
def dashboard_tabs(request: HttpRequest, project_id: str) -> HttpResponse:
    return _respond(request, _state(request, project_id), "tabs")


def _state(request: HttpRequest, project_id: str) -> DashboardState:
    return DashboardState.read(project_for(request.user, project_id), request.GET)


def _settles(request: HttpRequest, state: DashboardState) -> bool:
    """Whether the month links to where possible double counts are settled."""
    return state.project.has_lookalikes and may_change(request.user, state.project)


def _month(state: DashboardState) -> dict[str, Any]:
    found = queries.dashboard(state.project, state.tab, state.days, state.past_month)
    return month.month(state, found)


def _daily(state: DashboardState) -> dict[str, Any]:
    return {"chart": daily.chart(state, queries.daily_spend(state.project, state.days, state.past_month))}


def _tabs(state: DashboardState) -> dict[str, Any]:
    return {"tabs": tabs.tabs(state, queries.panel(state.project, state.tab, state.past_month))}


_CONTEXTS: dict[Name, Callable[[DashboardState], dict[str, Any]]] = {
    "month": _month,
    "daily": _daily,
    "tabs": _tabs,
}


def _html(state: DashboardState, name: Name, settles: bool = False) -> SafeString:
    """Rendered without the request, so that nothing else about the person who asks can be in it."""
    return get_or_make(_key(state, name, settles), lambda: _rendered(state, name, settles))


def _rendered(state: DashboardState, name: Name, settles: bool) -> SafeString:
    context = {"project": state.project, "settles": settles, **_CONTEXTS[name](state)}
    return render_to_string(f"aicost/_{name}.html", context)


def _key(state: DashboardState, name: Name, settles: bool) -> str:
    return key_of(f"{name}{state.query}{' settles' if settles else ''}", _SPANS[name], state.project)


def _respond(request: HttpRequest, state: DashboardState, name: Name, settles: bool = False) -> HttpResponse:
    """The caller has checked that the person has access to the product."""
    key = _key(state, name, settles)
    return respond_unless_cached(request, key, lambda: HttpResponse(_html(state, name, settles)))
