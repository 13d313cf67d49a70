"""The connect page: how to send usage, a token for it, whether usage has arrived, and whether twice."""

from datetime import datetime

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from aicost import queries
from aicost.http.decorators import page
from aicost.presentation import connect as connect_page
from aicost.presentation.connect import double_counts
from aicost.views.product import render_product
from billing import clock, lookalike_decisions
from billing.forms import DoubleCountForm
from products import tokens
from products.access import may_change, project_for
from products.forms import newest_token_sent
from products.models import ApiToken, Project


@page
@require_http_methods(["GET", "HEAD", "POST"])
def connect(request: HttpRequest, project_id: str) -> HttpResponse:
    """Only the response to the POST contains a new token's text, as on the page of a person's tokens."""
    posted = request.method == "POST"
    project = project_for(request.user, project_id, need="change" if posted else "read")
    made = _make_token(request, project) if posted else None
    again = posted and made is None
    manages = may_change(request.user, project)
    context = connect_page.page(
        project,
        request.build_absolute_uri("/"),
        manages=manages,
        newest_token=tokens.newest(request.user) if manages else 0,
        newest_usage=_newest_usage(project),
        arrivals=queries.arrivals(project),
        made=made,
        now=timezone.now(),
    )
    context["double_counts"] = double_counts.rows(project, queries.settlements(project))
    return render_product(
        request, "connect", project, {**context, "again": again}, status=422 if again else 200
    )


@page
@require_POST
def settle_double_count(request: HttpRequest, project_id: str) -> HttpResponse:
    """Decide for two senders whether they report the same calls."""
    project = project_for(request.user, project_id, need="change")
    form = DoubleCountForm(request.POST)
    if form.is_valid() and lookalike_decisions.is_known(project, form.senders):
        decision = form.cleaned_data["decision"]
        united = lookalike_decisions.decide(project, form.senders, decision, by=request.user)
        messages.success(request, double_counts.confirmation(decision, united))
    else:
        messages.error(request, "There is no such double count. Nothing has been changed.")
    return redirect("connect", project.pk)


@page
@require_safe
def arrived(request: HttpRequest, project_id: str) -> HttpResponse:
    """The page polls until usage arrives. Nothing is swapped for itself: a screen reader would repeat it."""
    project = project_for(request.user, project_id)
    arrivals = queries.arrivals(project)
    context = connect_page.arrival(project, _newest_usage(project), arrivals)
    is_up_to_date = request.GET.get("shown", "0") == str(context["refused"])
    if request.htmx and not project.first_usage_at and is_up_to_date:  # type: ignore[attr-defined]
        return HttpResponse(status=204)
    return render_product(request, "_arrived", project, {"here": "connect", **context})


def _newest_usage(project: Project) -> datetime | None:
    return queries.newest(project) if project.first_usage_at else None


def _make_token(request: HttpRequest, project: Project) -> tuple[ApiToken, str] | None:
    """A new token and its text, or None if the same form has already made one."""
    if project.archived_at:
        raise PermissionDenied("This product is archived and accepts no usage.")
    try:
        return tokens.issue_once(
            request.user,
            scope=ApiToken.Scope.INGEST,
            project=project,
            newest=newest_token_sent(request.POST),
            name=connect_page.token_name(clock.today(project)),
            by=request.user,
        )
    except tokens.AlreadyIssued:
        return None
