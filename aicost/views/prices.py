"""The prices page: what models cost a product, prices of its own, and booking the costs that are missing."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_http_methods, require_POST

from aicost import queries
from aicost.http.decorators import page
from aicost.presentation import prices as prices_page
from aicost.views.product import render_product
from billing import clock
from billing.forms import OwnPriceForm
from billing.ledger import missing_costs
from billing.models import PriceOverride
from billing.prices import overrides
from products.access import may_change, project_for

MOST_BOOKED = 20_000
"""Deductions that a request prices; of more, `manage.py price_unpriced` takes care."""


@page
@require_http_methods(["GET", "HEAD", "POST"])
def prices(request: HttpRequest, project_id: str) -> HttpResponse:
    """A POST sets a price of the product's own. `?preview` shows what could be booked."""
    project = project_for(request.user, project_id, "change" if request.method == "POST" else "view_prices")
    initial = {"model": request.GET.get("model", ""), "starts_on": clock.today(project)}
    form = OwnPriceForm(request.POST or None, initial=initial, instance=PriceOverride(project=project))
    if request.method == "POST" and form.is_valid():
        overrides.put(form.save(commit=False), by=request.user)
        messages.success(request, prices_page.saved(form.instance))
        return redirect("prices", project.pk)
    missing = queries.missing(project)
    preview = None
    if "preview" in request.GET and sum(missing) <= MOST_BOOKED:
        preview = missing_costs.book([project], dry_run=True)
    context = prices_page.page(queries.prices(project), missing, preview, too_many=sum(missing) > MOST_BOOKED)
    status = 422 if request.method == "POST" else 200
    context |= {"form": form, "may_change": may_change(request.user, project)}
    return render_product(request, "prices", project, context, status=status)


@page
@require_POST
def book_missing(request: HttpRequest, project_id: str) -> HttpResponse:
    project = project_for(request.user, project_id, "change")
    if sum(queries.missing(project)) > MOST_BOOKED:
        messages.error(request, prices_page.TOO_MANY)
    else:
        messages.success(request, prices_page.booked(missing_costs.book([project])))
    return redirect("prices", project.pk)


@page
@require_POST
def remove_price(request: HttpRequest, project_id: str, override_id: int) -> HttpResponse:
    project = project_for(request.user, project_id, "change")
    override = get_object_or_404(PriceOverride, project=project, pk=override_id)
    overrides.remove(override, by=request.user)
    messages.success(request, prices_page.removed(override))
    return redirect("prices", project.pk)
