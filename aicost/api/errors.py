"""The table from exceptions to the error codes of tRPC, HTTP and JSON-RPC."""

import logging
from dataclasses import dataclass
from typing import NamedTuple

from django.core.exceptions import PermissionDenied, SuspiciousOperation, ValidationError
from django.db import OperationalError
from django.http import Http404

from aicost.http.authentication import TooManyBadTokens
from products.access import Unauthenticated
from products.printable import printable

log = logging.getLogger("aicost.rpc")


class ErrorCode(NamedTuple):
    """An error's tRPC key, tRPC number, HTTP status and JSON-RPC number.

    The tRPC values are those of its `TRPC_ERROR_CODES_BY_KEY`. The JSON-RPC numbers below -32099 come
    from its specification; the others are this server's own.
    """

    key: str
    number: int
    http: int
    jsonrpc: int


PARSE_ERROR = ErrorCode("PARSE_ERROR", -32700, 400, -32700)
BAD_REQUEST = ErrorCode("BAD_REQUEST", -32600, 400, -32602)
UNAUTHORIZED = ErrorCode("UNAUTHORIZED", -32001, 401, -32001)
FORBIDDEN = ErrorCode("FORBIDDEN", -32003, 403, -32003)
NOT_FOUND = ErrorCode("NOT_FOUND", -32004, 404, -32004)
METHOD_NOT_SUPPORTED = ErrorCode("METHOD_NOT_SUPPORTED", -32005, 405, -32005)
PAYLOAD_TOO_LARGE = ErrorCode("PAYLOAD_TOO_LARGE", -32013, 413, -32013)
UNSUPPORTED_MEDIA_TYPE = ErrorCode("UNSUPPORTED_MEDIA_TYPE", -32015, 415, -32015)
TOO_MANY_REQUESTS = ErrorCode("TOO_MANY_REQUESTS", -32029, 429, -32029)
INTERNAL_SERVER_ERROR = ErrorCode("INTERNAL_SERVER_ERROR", -32603, 500, -32603)
SERVICE_UNAVAILABLE = ErrorCode("SERVICE_UNAVAILABLE", -32603, 503, -32000)

JSONRPC_PARSE_ERROR = -32700
JSONRPC_INVALID_REQUEST = -32600
JSONRPC_METHOD_NOT_FOUND = -32601
"""Errors of a request as a whole, by JSON-RPC 2.0, section 5.1."""


@dataclass
class ApiError(Exception):
    """The code and message of an error response; the message names the wrong field, if there is one."""

    code: ErrorCode
    message: str


_CODES: tuple[tuple[type[Exception], ErrorCode], ...] = (
    (Unauthenticated, UNAUTHORIZED),
    (TooManyBadTokens, TOO_MANY_REQUESTS),
    (PermissionDenied, FORBIDDEN),
    (Http404, NOT_FOUND),
    (ValidationError, BAD_REQUEST),
    (SuspiciousOperation, BAD_REQUEST),  # such as too many query parameters
    (OperationalError, SERVICE_UNAVAILABLE),
)


def api_error(error: Exception) -> ApiError:
    """The response to an exception. An unexpected one is logged, and its details stay on the server."""
    if isinstance(error, ApiError):
        return error
    for known, code in _CODES:
        if isinstance(error, known):
            return ApiError(code, _message(error))
    log.error("a procedure failed", exc_info=error)
    return ApiError(INTERNAL_SERVER_ERROR, "Something went wrong on the server.")


def _message(error: Exception) -> str:
    if isinstance(error, OperationalError):
        log.warning("the database did not answer: %s", printable(str(error), 500))
        return "The database is busy; try again."
    if isinstance(error, ValidationError):
        if hasattr(error, "error_dict"):
            return "; ".join(f"{field}: {' '.join(reasons)}" for field, reasons in error.message_dict.items())
        return " ".join(error.messages)
    return str(error)
