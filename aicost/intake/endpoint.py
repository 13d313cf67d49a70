"""What the usage endpoints share: authentication, error responses, and the product that usage goes to."""

import functools
import json
import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.db import DataError, Error, IntegrityError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from aicost.api.errors import api_error
from aicost.http import denials
from aicost.http.authentication import caller_of
from aicost.http.request_log import add_project_to_log
from aicost.intake.body import RequestRefused
from billing.sources import Context
from products.access import Unauthenticated, project_for
from products.models import Project
from products.printable import printable

log = logging.getLogger("aicost.intake")

RETRY_AFTER_SECONDS = 2

View = Callable[[HttpRequest, Project], HttpResponse]


def usage_endpoint(view: View) -> Callable[..., HttpResponse]:
    """Accept a POST with an ingest token, and pass the token's product to the view. Errors are JSON."""

    @csrf_exempt  # only tokens are accepted, never a session cookie
    @login_not_required
    @functools.wraps(view)
    def endpoint(request: HttpRequest) -> HttpResponse:
        try:
            if request.method != "POST":
                raise RequestRefused(405, "Send a POST.")
            return view(request, _project_of(request))
        except RequestRefused as refused:
            return _error_response(refused.status, refused.reason)
        except (Http404, PermissionDenied, Error) as error:
            denials.record(error, f"{request.method} {request.path}")
            return _response_to(error)

    return endpoint


def _project_of(request: HttpRequest) -> Project:
    """The product of the request's token. Raises `PermissionDenied` or `Http404`."""
    if "Authorization" not in request.headers:
        raise Unauthenticated("Send a token with the scope ingest as `Authorization: Bearer …`.")
    caller = caller_of(request)
    if caller.token is None or caller.token.project_id is None:
        raise PermissionDenied("Sending usage needs a token with the scope ingest.")
    add_project_to_log(caller.token.project_id)
    project = project_for(caller, caller.token.project_id, "ingest")
    if project.archived_at:
        raise PermissionDenied("This product is archived and accepts no usage.")
    return project


def _response_to(error: Exception) -> HttpResponse:
    if isinstance(error, DataError | IntegrityError):
        # Such as a sum beyond 64 bits: this batch can never be recorded.
        log.error("a batch was refused by the database: %s", printable(str(error), 500))
        return _error_response(422, "The database refused the batch; nothing of it is recorded.")
    if isinstance(error, Error) and not isinstance(error, OperationalError):
        # Such as a standby that is not promoted yet. Senders drop a batch after most other statuses.
        log.error("the database can't take a batch now: %s", printable(str(error), 500))
        return _error_response(503, "The database accepts no usage at the moment; try again.")
    refusal = api_error(error)
    return _error_response(refusal.code.http, refusal.message)


def _error_response(status: int, reason: str) -> HttpResponse:
    response = json_response({"error": reason}, status)
    if status == 503:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    elif status == 429:
        response["Retry-After"] = "60"
    elif status == 405:
        response["Allow"] = "POST"
    elif status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def json_response(body: Any, status: int = 200) -> HttpResponse:
    response = HttpResponse(json.dumps(body), content_type="application/json", status=status)
    response["Cache-Control"] = "no-store"
    return response


def parsing_context() -> Context:
    return Context(now=timezone.now(), credits_per_dollar=settings.CREDITS_PER_DOLLAR)
