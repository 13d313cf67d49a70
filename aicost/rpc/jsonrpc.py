"""JSON-RPC 2.0: the whole specification, with named and positional params, notifications and batches."""

import json
import math
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from aicost.api.errors import (
    BAD_REQUEST,
    JSONRPC_INVALID_REQUEST,
    JSONRPC_METHOD_NOT_FOUND,
    JSONRPC_PARSE_ERROR,
    METHOD_NOT_SUPPORTED,
    UNSUPPORTED_MEDIA_TYPE,
    ApiError,
    api_error,
)
from aicost.api.procedures import PROCEDURES
from aicost.api.registry import Procedure
from aicost.rpc.execution import ProcedureRunner, read_body
from billing.json_decoding import InvalidJSON, decode_floats
from products.printable import printable

_NO_RESPONSE = object()
"""The result of a notification."""


@csrf_exempt  # `ProcedureRunner.run` checks CSRF where it matters
@login_not_required
def jsonrpc(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _refusal(METHOD_NOT_SUPPORTED.http, JSONRPC_INVALID_REQUEST, "Send a POST.", Allow="POST")
    if request.content_type != "application/json":
        # Forms on other sites can send other types along with the session cookie.
        return _refusal(UNSUPPORTED_MEDIA_TYPE.http, JSONRPC_INVALID_REQUEST, "Send application/json.")
    try:
        sent = decode_floats(read_body(request))
    except ApiError as error:
        return _refusal(error.code.http, JSONRPC_INVALID_REQUEST, error.message)
    except InvalidJSON as error:
        return _json(_error(None, JSONRPC_PARSE_ERROR, f"Parse error: {printable(str(error))}"))
    return _respond(ProcedureRunner(request), sent)


def _respond(runner: ProcedureRunner, sent: Any) -> HttpResponse:
    if not isinstance(sent, list):
        return _json(_response_to(runner, sent))
    if not sent:
        return _json(_error(None, JSONRPC_INVALID_REQUEST, "Invalid Request: an empty batch"))
    if len(sent) > settings.RPC_MAX_BATCH:
        reason = f"Invalid Request: a batch has at most {settings.RPC_MAX_BATCH} members"
        return _json(_error(None, JSONRPC_INVALID_REQUEST, reason))
    responses = [_response_to(runner, member) for member in sent]
    return _json([response for response in responses if response is not _NO_RESPONSE] or _NO_RESPONSE)


def _response_to(runner: ProcedureRunner, sent: Any) -> Any:
    """The response object to one request object, or `_NO_RESPONSE` to a notification."""
    problem = _problem(sent)
    if problem:
        id_ = sent.get("id") if isinstance(sent, dict) and _is_id(sent.get("id")) else None
        return _error(id_, JSONRPC_INVALID_REQUEST, f"Invalid Request: {problem}")
    try:
        response = {"jsonrpc": "2.0", "result": _call(runner, sent), "id": sent.get("id")}
    except Exception as error:
        refusal = api_error(error)
        code = JSONRPC_METHOD_NOT_FOUND if isinstance(error, _MethodNotFound) else refusal.code.jsonrpc
        response = _error(sent.get("id"), code, refusal.message)
    return response if "id" in sent else _NO_RESPONSE


class _MethodNotFound(ApiError):
    pass


def _call(runner: ProcedureRunner, sent: dict[str, Any]) -> Any:
    procedure = PROCEDURES.get(sent["method"])
    if procedure is None:
        raise _MethodNotFound(BAD_REQUEST, f"Method not found: {printable(sent['method'])}")
    return runner.run(procedure, lambda: _params(procedure, sent))


def _params(procedure: Procedure, sent: dict[str, Any]) -> Any:
    """The params by name; positional ones are in the order of the input's fields."""
    params = sent.get("params", {})
    if isinstance(params, dict):
        return params
    assert procedure.input
    fields = list(procedure.input.model_fields)
    if len(params) > len(fields):
        raise ApiError(BAD_REQUEST, f"params: at most {len(fields)}: {', '.join(fields)}")
    return dict(zip(fields, params, strict=False))


def _problem(sent: Any) -> str:
    """What is wrong with a request object, or ""."""
    if not isinstance(sent, dict):
        return "an object is needed"
    if sent.get("jsonrpc") != "2.0":
        return 'jsonrpc must be "2.0"'
    if not isinstance(sent.get("method"), str):
        return "method must be a string"
    if "params" in sent and not isinstance(sent["params"], dict | list):
        return "params must be an object or an array"
    if "id" in sent and not _is_id(sent["id"]):
        return "id must be a string, a number or null"
    return ""


def _is_id(value: Any) -> bool:
    """A string, null, or a number that JSON can repeat; 1e400 becomes infinity, which JSON has not."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, str | int) and not isinstance(value, bool))


def _error(id_: Any, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "error": {"code": code, "message": message}, "id": id_}


def _json(body: Any) -> HttpResponse:
    if body is _NO_RESPONSE:
        return HttpResponse(status=204)
    response = HttpResponse(json.dumps(body, separators=(",", ":")), content_type="application/json")
    response["Cache-Control"] = "no-store"
    return response


def _refusal(status: int, code: int, message: str, **headers: str) -> HttpResponse:
    """An error before there is a JSON-RPC request: in the HTTP status and in the body."""
    response = _json(_error(None, code, message))
    response.status_code = status
    for name, value in headers.items():
        response[name] = value
    return response
