"""Log one line per request, and put the request's id on every line logged meanwhile.

The log has paths and ids, never queries, bodies, headers or cookies. Text from outside is escaped, so
that it can't forge a log line.
"""

import json
import logging
import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from products.printable import printable

log = logging.getLogger("aicost.requests")

REQUEST_ID = "X-Request-ID"
_VALID_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MAX_PATH_LENGTH = 300
_MAX_PROJECTS = 10
_TOKEN = re.compile(r"aicost_[A-Za-z0-9_-]{8,}")

_fields: ContextVar[dict[str, Any] | None] = ContextVar("fields", default=None)
"""Log fields of the current request; None outside a request."""


def add_to_log(**fields: Any) -> None:
    """Add fields to all further log lines of the current request."""
    current = _fields.get()
    if current is not None:
        current.update(fields)


def add_project_to_log(project_id: object) -> None:
    """Add the id of a project that the request named, existing or not. A batch may name several."""
    logged = [name for name in (_fields.get() or {}).get("project", "").split(",") if name]
    name = printable(project_id, 20).replace(",", "")
    if name not in logged and len(logged) < _MAX_PROJECTS:
        add_to_log(project=",".join([*logged, name]))


class RequestLogMiddleware:
    """The first middleware, so that it logs the final status."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id, start = _id_of(request), time.perf_counter()
        before = _fields.set({"request_id": request_id})
        try:
            response = self.get_response(request)
            _log(request, response, (time.perf_counter() - start) * 1000)
        finally:
            _fields.reset(before)
        response[REQUEST_ID] = request_id
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if "project_id" in kwargs:
            add_project_to_log(kwargs["project_id"])


def _id_of(request: HttpRequest) -> str:
    """The id that the client or proxy sent, if it is a plain one; else a new one."""
    sent = request.headers.get(REQUEST_ID, "")
    return sent if _VALID_ID.fullmatch(sent) else uuid4().hex


def _log(request: HttpRequest, response: HttpResponseBase, milliseconds: float) -> None:
    # Only a user that was already loaded: logging makes no query.
    user = request.__dict__.get("_cached_user")
    if user is not None and user.pk:
        add_to_log(user=user.pk)
    add_to_log(
        method=printable(request.method or "", 20),
        path=printable(request.path, _MAX_PATH_LENGTH),
        status=response.status_code,
        ms=round(milliseconds, 1),
    )
    log.info("request")


class Json(logging.Formatter):
    """One JSON object per line, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _instant(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **(_fields.get() or {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _redacted(json.dumps(line, default=str))


class Text(logging.Formatter):
    """One line of text for people; a traceback follows, indented."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{key}={value}" for key, value in (_fields.get() or {}).items())
        line = f"{_instant(record)} {record.levelname} {record.name} {record.getMessage()} {fields}"
        lines = [_escaped(line.rstrip())]
        if record.exc_info:
            lines += [f"    {_escaped(line)}" for line in self.formatException(record.exc_info).splitlines()]
        return _redacted("\n".join(lines))


def _instant(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _redacted(text: str) -> str:
    """Hide tokens that clients sent in the wrong place, such as the path."""
    return _TOKEN.sub("aicost_***", text)
