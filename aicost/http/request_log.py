"""The log: one line for each request, and on every line the id of the request that it belongs to.

Of a request it tells its path and ids, never its query, body, headers or cookies. Whatever somebody
hostile may name is escaped, so that no name begins a line of its own.
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
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LONGEST_PATH = 300
_MOST_PROJECTS = 10
_TOKEN = re.compile(r"aicost_[A-Za-z0-9_-]{8,}")

_about: ContextVar[dict[str, Any] | None] = ContextVar("about", default=None)
"""What is known of the request under way; None outside of one."""


def note(**facts: Any) -> None:
    """Stands on all lines of the request under way from now on."""
    about = _about.get()
    if about is not None:
        about.update(facts)


def note_project(project_id: object) -> None:
    """As it was asked for, whether there is such a one or not; a batch may ask for several."""
    noted = [one for one in (_about.get() or {}).get("project", "").split(",") if one]
    one = printable(project_id, 20).replace(",", "")
    if one not in noted and len(noted) < _MOST_PROJECTS:
        note(project=",".join([*noted, one]))


class RequestLogMiddleware:
    """Comes first, so that its line tells what really was answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id, began = _id_of(request), time.perf_counter()
        mark = _about.set({"request_id": request_id})
        try:
            response = self.get_response(request)
            _log(request, response, (time.perf_counter() - began) * 1000)
        finally:
            _about.reset(mark)
        response[REQUEST_ID] = request_id
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if "project_id" in kwargs:
            note_project(kwargs["project_id"])


def _id_of(request: HttpRequest) -> str:
    """The sender's own, by which one follows it through a proxy, if that is an id and nothing else."""
    told = request.headers.get(REQUEST_ID, "")
    return told if _SANE_ID.fullmatch(told) else uuid4().hex


def _log(request: HttpRequest, response: HttpResponseBase, milliseconds: float) -> None:
    # Only one that was looked up: the log makes no query of its own.
    user = request.__dict__.get("_cached_user")
    if user is not None and user.pk:
        note(user=user.pk)
    note(
        method=printable(request.method or "", 20),
        path=printable(request.path, _LONGEST_PATH),
        status=response.status_code,
        ms=round(milliseconds, 1),
    )
    log.info("request")


class Json(logging.Formatter):
    """A JSON object a line, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _instant(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **(_about.get() or {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _blotted(json.dumps(line, default=str))


class Text(logging.Formatter):
    """For people: the same on a line, and below it a traceback, indented."""

    def format(self, record: logging.LogRecord) -> str:
        about = " ".join(f"{key}={value}" for key, value in (_about.get() or {}).items())
        line = f"{_instant(record)} {record.levelname} {record.name} {record.getMessage()} {about}"
        lines = [_escaped(line.rstrip())]
        if record.exc_info:
            lines += [f"    {_escaped(line)}" for line in self.formatException(record.exc_info).splitlines()]
        return _blotted("\n".join(lines))


def _instant(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _blotted(text: str) -> str:
    """Tokens that somebody put where none belongs, such as a path."""
    return _TOKEN.sub("aicost_***", text)
