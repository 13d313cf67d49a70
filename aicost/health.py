"""Answers for machines that watch the process."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache


@login_not_required
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """The process is up and answers; it says nothing of the database."""
    return HttpResponse("ok\n", content_type="text/plain")
