"""What every door checks before it reads usage: whose it is, how large, in what encoding."""

import functools
import gzip
import json
import logging
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.db import DataError, Error, IntegrityError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from aicost.api.errors import failure
from aicost.http import denials
from aicost.http.authentication import caller_of
from aicost.http.request_log import note_project
from billing.sources import Context
from products.access import Unauthenticated, project_for
from products.models import Project
from products.printable import printable

log = logging.getLogger("aicost.intake")

MAX_EVENTS = 1_000
MAX_BYTES = 10_000_000
"""After decompression."""
RETRY_AFTER_SECONDS = 2


class Refused(Exception):  # the request was; whose fault it is the status says
    """A whole request that is refused, nothing of it read."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


Door = Callable[[HttpRequest, Project], HttpResponse]


def door(view: Door) -> Callable[..., HttpResponse]:
    """A POST by a token with the scope `ingest`; whatever goes wrong is told in JSON."""

    @csrf_exempt  # tokens only: no cookie is looked at
    @login_not_required
    @functools.wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        try:
            if request.method != "POST":
                raise Refused(405, "Send a POST.")
            return view(request, project_of(request))
        except Refused as refused:
            return refusal(refused.status, refused.reason)
        except (Http404, PermissionDenied, Error) as error:
            denials.note(error, f"{request.method} {request.path}")
            return _refusal_of(error)

    return answer


def project_of(request: HttpRequest) -> Project:
    """The product that the request's token brings usage to. Raises `PermissionDenied` or `Http404`."""
    if "Authorization" not in request.headers:
        raise Unauthenticated("Send a token with the scope ingest as `Authorization: Bearer …`.")
    caller = caller_of(request)
    if caller.token is None or caller.token.project_id is None:
        raise PermissionDenied("Usage comes in by a token with the scope ingest.")
    note_project(caller.token.project_id)
    project = project_for(caller, caller.token.project_id, "ingest")
    if project.archived_at:
        raise PermissionDenied("This product is archived and takes no usage.")
    return project


def _refusal_of(error: Exception) -> HttpResponse:
    if isinstance(error, DataError | IntegrityError):
        # A sum beyond 64 bits, say: the batch can never be recorded, and nothing of it was.
        log.error("a batch was refused by the database: %s", printable(str(error), 500))
        return refusal(422, "The database refused the batch; nothing of it is recorded.")
    if isinstance(error, Error) and not isinstance(error, OperationalError):
        # A standby that was not promoted yet, tables amid a migration: a sender told otherwise would drop it.
        log.error("the database can't take a batch now: %s", printable(str(error), 500))
        return refusal(503, "The database takes no usage now; try again.")
    told = failure(error)
    return refusal(told.code.http, told.message)


def refusal(status: int, reason: str) -> HttpResponse:
    response = json_answer({"error": reason}, status)
    if status == 503:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    elif status == 429:
        response["Retry-After"] = "60"
    elif status == 405:
        response["Allow"] = "POST"
    elif status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def json_answer(body: Any, status: int = 200) -> HttpResponse:
    response = HttpResponse(json.dumps(body), content_type="application/json", status=status)
    response["Cache-Control"] = "no-store"
    return response


def media_type(request: HttpRequest) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def body_of(request: HttpRequest) -> bytes:
    """The body, decompressed. Raises `Refused` for one too large, broken, or of another encoding."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", ""):
        raise Refused(415, f"Content-Encoding {printable(encoding)} is not read; send gzip or none.")
    # One byte more than allowed tells that there is more; the rest is never held.
    raw = _stream(request).read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise Refused(413, f"A request has at most {MAX_BYTES:,} bytes.")
    if len(raw) < _length(request):
        # Lines that came whole would be read as a batch, which its sender never sent.
        raise Refused(400, "The body broke off before its Content-Length.")
    return _decompressed(raw) if encoding == "gzip" else raw


def _length(request: HttpRequest) -> int:
    try:
        return int(request.headers.get("Content-Length", ""))
    except ValueError:  # Django, too, takes it for none
        return 0


def _stream(request: HttpRequest) -> Any:
    """What the body is read from. Django takes one that comes in chunks, without its length, for empty."""
    if "Transfer-Encoding" not in request.headers or "wsgi.input" not in request.META:
        return request
    if not request.META.get("wsgi.input_terminated"):  # this server would wait for more for ever
        raise Refused(411, "Send the body's length as Content-Length.")
    return request.META["wsgi.input"]


def _decompressed(raw: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=BytesIO(raw)) as stream:
            whole = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        raise Refused(400, "The body is not valid gzip.") from None
    if len(whole) > MAX_BYTES:
        raise Refused(413, f"A request has at most {MAX_BYTES:,} bytes after decompression.")
    return whole


def context() -> Context:
    return Context(now=timezone.now(), credits_per_dollar=settings.CREDITS_PER_DOLLAR)
