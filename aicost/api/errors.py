"""One table from Django's exceptions to the vocabularies of tRPC and JSON-RPC."""

import logging
from dataclasses import dataclass
from typing import NamedTuple

from django.core.exceptions import PermissionDenied, SuspiciousOperation, ValidationError
from django.db import OperationalError
from django.http import Http404

from products.access import Unauthenticated
from products.printable import printable

log = logging.getLogger("aicost.rpc")


class Code(NamedTuple):
    """A kind of failure: tRPC's key, number and HTTP status, and JSON-RPC's number.

    tRPC's are those of its `TRPC_ERROR_CODES_BY_KEY`; JSON-RPC's below −32000 are its specification's,
    the others the server's own.
    """

    key: str
    number: int
    http: int
    jsonrpc: int


PARSE_ERROR = Code("PARSE_ERROR", -32700, 400, -32700)
BAD_REQUEST = Code("BAD_REQUEST", -32600, 400, -32602)
UNAUTHORIZED = Code("UNAUTHORIZED", -32001, 401, -32001)
FORBIDDEN = Code("FORBIDDEN", -32003, 403, -32003)
NOT_FOUND = Code("NOT_FOUND", -32004, 404, -32004)
METHOD_NOT_SUPPORTED = Code("METHOD_NOT_SUPPORTED", -32005, 405, -32005)
PAYLOAD_TOO_LARGE = Code("PAYLOAD_TOO_LARGE", -32013, 413, -32013)
UNSUPPORTED_MEDIA_TYPE = Code("UNSUPPORTED_MEDIA_TYPE", -32015, 415, -32015)
TOO_MANY_REQUESTS = Code("TOO_MANY_REQUESTS", -32029, 429, -32029)
INTERNAL_SERVER_ERROR = Code("INTERNAL_SERVER_ERROR", -32603, 500, -32603)
SERVICE_UNAVAILABLE = Code("SERVICE_UNAVAILABLE", -32603, 503, -32000)


JSONRPC_PARSE_ERROR = -32700
JSONRPC_INVALID_REQUEST = -32600
JSONRPC_METHOD_NOT_FOUND = -32601
"""Errors of a request as a whole, by JSON-RPC 2.0, section 5.1."""


class TooManyBadTokens(PermissionDenied):
    """Somebody keeps trying tokens that are none."""


@dataclass
class Failure(Exception):  # it failed; whose error it was the code says
    """What a caller is told; `message` says which field is wrong where one is."""

    code: Code
    message: str


_CODES: tuple[tuple[type[Exception], Code], ...] = (
    (Unauthenticated, UNAUTHORIZED),
    (TooManyBadTokens, TOO_MANY_REQUESTS),
    (PermissionDenied, FORBIDDEN),
    (Http404, NOT_FOUND),
    (ValidationError, BAD_REQUEST),
    (SuspiciousOperation, BAD_REQUEST),  # Django's own limits, such as the number of parameters
    (OperationalError, SERVICE_UNAVAILABLE),
)


def failure(error: Exception) -> Failure:
    """What is told of an exception; of one that nobody foresaw nothing but that it happened."""
    if isinstance(error, Failure):
        return error
    for known, code in _CODES:
        if isinstance(error, known):
            return Failure(code, _message(error))
    log.error("a procedure failed", exc_info=error)
    return Failure(INTERNAL_SERVER_ERROR, "Something went wrong on the server.")


def _message(error: Exception) -> str:
    if isinstance(error, OperationalError):
        log.warning("the database did not answer: %s", printable(str(error), 500))
        return "The database is busy; try again."
    if isinstance(error, ValidationError):
        if hasattr(error, "error_dict"):
            return "; ".join(f"{field}: {' '.join(told)}" for field, told in error.message_dict.items())
        return " ".join(error.messages)
    return str(error)
