"""The dashboard's fragments: alike for everybody who may see them, and made once for each change."""

from collections.abc import Callable
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.views.decorators.http import condition

from aicost.kept import Span, kept, key_of
from aicost.presentation import daily, month, tabs
from aicost.state import DashboardState

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
    return key_of(state.project, f"{name}{state.query}", _SPANS[name])


def _etag(request: HttpRequest, state: DashboardState, name: Name) -> str:
    return f'"{_key(state, name)}"'


@condition(etag_func=_etag)
def answer(request: HttpRequest, state: DashboardState, name: Name) -> HttpResponse:
    """304 where the browser has it; whoever calls this has found that the person may see the product."""
    return HttpResponse(html(state, name))
