"""A product's alerts page and its actions."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from aicost.http.decorators import page
from aicost.presentation import alerts as alerts_page
from aicost.queries import alerts as alert_queries
from aicost.url_state import runs as run_urls
from aicost.views.product import render_product
from billing.alerts import channels, outbox
from billing.alerts.forms import AlertForm
from billing.models.alerts import AlertDelivery
from products.access import may_change, project_for
from products.models import Project


@page
@require_http_methods(["GET", "HEAD", "POST"])
def alerts(request: HttpRequest, project_id: str) -> HttpResponse:
    project = project_for(request.user, project_id, need="change" if request.method == "POST" else "read")
    if request.method != "POST":
        return _render(request, project)
    form = AlertForm(request.POST)
    if not form.is_valid():
        return _render(request, project, form=form, status=422)
    form.save(project, request.user)
    messages.success(request, "The alerts have been saved.")
    return redirect("alerts", project.pk)


@page
@require_http_methods(["GET", "HEAD", "POST"])
def show_secret(request: HttpRequest, project_id: str) -> HttpResponse:
    """Only the response to the POST contains the secret; no page that can be reloaded does."""
    project = project_for(request.user, project_id, need="change")
    if request.method != "POST":  # somebody opened or reloaded the address
        return redirect("alerts", project.pk)
    return _render(request, project, secret=channels.signing_secret(project))


@page
@require_POST
def send_test(request: HttpRequest, project_id: str, channel: str) -> HttpResponse:
    project = project_for(request.user, project_id, need="change")
    if channel not in AlertDelivery.Channel.values:
        raise Http404("No such channel.")
    return _send(request, project, outbox.queue_test(project, channel))


@page
@require_POST
def send_again(request: HttpRequest, project_id: str, delivery_id: UUID) -> HttpResponse:
    project = project_for(request.user, project_id, need="change")
    delivery = alert_queries.delivery_of(project, delivery_id)
    outbox.send_again(delivery)
    return _send(request, project, [delivery])


def _send(request: HttpRequest, project: Project, deliveries: list[AlertDelivery]) -> HttpResponse:
    outbox.send_in_request(deliveries)
    sent, text = alerts_page.outcome(deliveries)
    messages.add_message(request, messages.SUCCESS if sent else messages.ERROR, text)
    return redirect("alerts", project.pk)


def _render(
    request: HttpRequest,
    project: Project,
    *,
    form: AlertForm | None = None,
    secret: str = "",
    status: int = 200,
) -> HttpResponse:
    allowed = may_change(request.user, project)
    number = run_urls.page_from(request.GET.get("page"))
    found = alert_queries.alerts_page(project, number)
    rows = alerts_page.page(
        project, found, request.user, may_change=allowed, number=number, now=timezone.now()
    )
    context: dict[str, Any] = {"secret": secret, **rows}
    if allowed:  # the form contains email addresses and the whole webhook URL
        context["form"] = form or AlertForm.of(found.settings)
    return render_product(request, "alerts", project, context, status=status)
