"""The portfolio: all products that a person can view."""

from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from aicost import queries
from aicost.cache import get_or_make, key_of
from aicost.http.decorators import page
from aicost.presentation import portfolio as portfolio_page
from aicost.url_state.portfolio import PortfolioState
from products.models import Project


@page
@require_safe
def portfolio(request: HttpRequest) -> HttpResponse:
    return render(request, "aicost/portfolio.html", {"here": "portfolio", "products": _products(request)})


@page
@require_safe
def portfolio_products(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_products(request))


def _products(request: HttpRequest) -> SafeString:
    state = PortfolioState.read(request.GET)
    visible = queries.visible_projects(request.user)
    if not visible:
        return render_to_string("aicost/_no_products.html", {"user": request.user})
    return _list(visible, state)


def _list(projects: Sequence[Project], state: PortfolioState) -> SafeString:
    """The list of these products. It contains their owners' names, so the cache key does, too."""
    owners = "\n".join(project.owner.get_username() for project in projects)
    key = key_of(f"products{state.query}\n{owners}", "minute", *projects)
    return get_or_make(key, lambda: _rendered(projects, state))


def _rendered(projects: Sequence[Project], state: PortfolioState) -> SafeString:
    context = {"portfolio": portfolio_page.portfolio(queries.portfolio(projects), state)}
    return render_to_string("aicost/_products.html", context)
