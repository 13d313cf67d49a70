"""Call procedures for an HTTP request, for either transport."""

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
    ApiError,
    api_error,
)
from aicost.api.registry import UNDEFINED, Procedure
from aicost.http import denials
from aicost.http.authentication import caller_of, require_csrf
from aicost.http.request_log import add_project_to_log
from products.access import Caller
from products.printable import printable

log = logging.getLogger("aicost.access")


class ProcedureRunner:
    """Runs the calls in a request. The caller is authenticated once, when the first call needs it."""

    def __init__(self, http: HttpRequest) -> None:
        self.http = http

    @cached_property
    def _caller(self) -> Caller | ApiError:
        try:
            return caller_of(self.http)
        except Exception as error:
            return api_error(error)

    @property
    def caller(self) -> Caller:
        if isinstance(self._caller, ApiError):
            raise self._caller
        return self._caller

    def run(self, procedure: Procedure, read_input: Callable[[], object]) -> Any:
        """The procedure's output as plain JSON values. Raises `ApiError`.

        `read_input` is called after the caller has been authenticated.
        """
        try:
            caller = self.caller
            raw = read_input() if procedure.input else UNDEFINED
            if isinstance(raw, dict) and isinstance(raw.get("projectId"), str):
                add_project_to_log(raw["projectId"])
            if procedure.kind == "mutation":
                require_csrf(self.http, caller)
            return procedure.call(caller, raw)
        except Exception as error:
            refusal = api_error(error)
            if refusal.code in (UNAUTHORIZED, FORBIDDEN, NOT_FOUND):
                self._log_denial(procedure, refusal)
                denials.record(error, procedure.name)
            raise refusal from error

    def _log_denial(self, procedure: Procedure, refusal: ApiError) -> None:
        caller = "nobody" if isinstance(self._caller, ApiError) else self._caller
        log.warning("%s denied %s: %s", procedure.name, caller, printable(refusal.message, 200))


def read_body(http: HttpRequest) -> bytes:
    """The request body. Raises `ApiError` if it is too large, or its Content-Length is wrong."""
    try:
        return http.body
    except RequestDataTooBig:
        raise ApiError(PAYLOAD_TOO_LARGE, "The request is too large.") from None
    except (ValueError, UnreadablePostError):
        raise ApiError(BAD_REQUEST, "The request body could not be read.") from None
