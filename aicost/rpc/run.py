"""One call of a procedure by one request, whatever the transport."""

import logging
from collections.abc import Callable
from functools import cached_property
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, UnreadablePostError

from aicost.api.errors import (
    BAD_REQUEST,
    FORBIDDEN,
    NOT_FOUND,
    PAYLOAD_TOO_LARGE,
    UNAUTHORIZED,
    Failure,
    failure,
)
from aicost.api.registry import UNDEFINED, Procedure
from aicost.http import denials
from aicost.http.authentication import caller_of, require_csrf
from aicost.http.request_log import note_project
from products.access import Caller
from products.printable import printable

log = logging.getLogger("aicost.access")


class Request:
    """Who calls is found out once for all members of a batch, and only when a procedure needs it."""

    def __init__(self, http: HttpRequest) -> None:
        self.http = http

    @cached_property
    def _caller(self) -> Caller | Failure:
        try:
            return caller_of(self.http)
        except Exception as error:
            return failure(error)

    @property
    def caller(self) -> Caller:
        if isinstance(self._caller, Failure):
            raise self._caller
        return self._caller

    def run(self, procedure: Procedure, read: Callable[[], object]) -> Any:
        """The procedure's answer as plain JSON values; who calls is asked before the input is read.

        Raises `Failure`.
        """
        try:
            caller = self.caller
            raw = read() if procedure.input else UNDEFINED
            if isinstance(raw, dict) and isinstance(raw.get("projectId"), str):
                note_project(raw["projectId"])
            if procedure.kind == "mutation":
                require_csrf(self.http, caller)
            return procedure.call(caller, raw)
        except Exception as error:
            told = failure(error)
            if told.code in (UNAUTHORIZED, FORBIDDEN, NOT_FOUND):
                self._log_denial(procedure, told)
                denials.note(error, procedure.name)
            raise told from error

    def _log_denial(self, procedure: Procedure, told: Failure) -> None:
        who = "nobody" if isinstance(self._caller, Failure) else self._caller
        log.warning("%s denied %s: %s", procedure.name, who, printable(told.message, 200))


def body_of(http: HttpRequest) -> bytes:
    """Raises `Failure` for a body that is too large, or whose length is no number or not kept."""
    try:
        return http.body
    except RequestDataTooBig:
        raise Failure(PAYLOAD_TOO_LARGE, "The request is too large.") from None
    except (ValueError, UnreadablePostError):
        raise Failure(BAD_REQUEST, "The request's body could not be read.") from None
