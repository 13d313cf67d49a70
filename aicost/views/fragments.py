"""Fragments of the dashboard and the portfolio: alike for all who may see them, made once for each change."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from aicost import queries
from aicost.cache import Span, kept, key_of
from aicost.http.decorators import respond_unless_cached
from aicost.presentation import portfolio
from aicost.presentation.dashboard import daily, month, tabs
from aicost.url_state.dashboard import DashboardState
from aicost.url_state.portfolio import PortfolioState
from products.models import Project

Name = Literal["month", "daily", "tabs"]

_SPANS: dict[Name, Span] = {"month": "minute", "daily": "day", "tabs": "day"}
"""The forecast looks at the time of day, and reservations expire."""

_SHOWN: dict[Name, Callable[[DashboardState], dict[str, Any]]] = {
    "month": month.month,
    "daily": lambda state: {"chart": daily.chart(state)},
    "tabs": lambda state: {"tabs": tabs.tabs(state)},
}


def html(state: DashboardState, name: Name) -> SafeString:
    """Made without the request, so that nothing of who asks can be in it."""
    return kept(_key(state, name), lambda: _rendered(state, name))


def _rendered(state: DashboardState, name: Name) -> SafeString:
    return render_to_string(f"aicost/_{name}.html", {"project": state.project, **_SHOWN[name](state)})


def _key(state: DashboardState, name: Name) -> str:
    return key_of(f"{name}{state.query}", _SPANS[name], state.project)


def products(projects: Sequence[Project], state: PortfolioState) -> SafeString:
    """The portfolio of these, their owners' names with them."""
    owners = "\n".join(one.owner.get_username() for one in projects)
    key = key_of(f"products{state.query}\n{owners}", "minute", *projects)
    return kept(key, lambda: _portfolio(projects, state))


def _portfolio(projects: Sequence[Project], state: PortfolioState) -> SafeString:
    shown = portfolio.portfolio(queries.portfolio(projects), state)
    return render_to_string("aicost/_products.html", {"portfolio": shown})


def answer(request: HttpRequest, state: DashboardState, name: Name) -> HttpResponse:
    """Whoever calls this has found that the person may see the product."""
    return respond_unless_cached(request, _key(state, name), lambda: HttpResponse(html(state, name)))
