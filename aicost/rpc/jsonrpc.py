"""JSON-RPC 2.0, the whole specification: named and positional params, notifications, batches."""

import json
import math
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from aicost.api.errors import (
    BAD_REQUEST,
    METHOD_NOT_SUPPORTED,
    UNSUPPORTED_MEDIA_TYPE,
    Failure,
    failure,
)
from aicost.api.procedures import PROCEDURES
from aicost.api.registry import Procedure
from aicost.rpc.run import Request, body_of
from billing.json_decoding import InvalidJSON, decode_floats
from products.printable import printable

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601

_NOTHING = object()
"""The answer to a notification: none at all."""


@csrf_exempt  # what changes state by a session is checked in `Request.run`
@login_not_required
def jsonrpc(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _refusal(METHOD_NOT_SUPPORTED.http, INVALID_REQUEST, "Send a POST.", Allow="POST")
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        # A plain form of another site could send any other type with the session's cookie.
        return _refusal(UNSUPPORTED_MEDIA_TYPE.http, INVALID_REQUEST, "Send application/json.")
    try:
        sent = decode_floats(body_of(request))
    except Failure as told:
        return _refusal(told.code.http, INVALID_REQUEST, told.message)
    except InvalidJSON as error:
        return _json(_error(None, PARSE_ERROR, f"Parse error: {printable(str(error))}"))
    return _answer(Request(request), sent)


def _answer(run: Request, sent: Any) -> HttpResponse:
    if not isinstance(sent, list):
        return _json(_one(run, sent))
    if not sent:
        return _json(_error(None, INVALID_REQUEST, "Invalid Request: an empty batch"))
    if len(sent) > settings.RPC_MAX_BATCH:
        reason = f"Invalid Request: a batch has at most {settings.RPC_MAX_BATCH} members"
        return _json(_error(None, INVALID_REQUEST, reason))
    answers = [answer for answer in (_one(run, member) for member in sent) if answer is not _NOTHING]
    return _json(answers or _NOTHING)


def _one(run: Request, sent: Any) -> Any:
    """The response to one request object, or `_NOTHING` for a notification."""
    wrong = _invalid(sent)
    if wrong:
        known = sent.get("id") if isinstance(sent, dict) and _is_id(sent.get("id")) else None
        return _error(known, INVALID_REQUEST, f"Invalid Request: {wrong}")
    try:
        answer = {"jsonrpc": "2.0", "result": _call(run, sent), "id": sent.get("id")}
    except Exception as error:
        told = failure(error)
        code = METHOD_NOT_FOUND if isinstance(error, _MethodNotFound) else told.code.jsonrpc
        answer = _error(sent.get("id"), code, told.message)
    return answer if "id" in sent else _NOTHING


class _MethodNotFound(Failure):
    pass


def _call(run: Request, sent: dict[str, Any]) -> Any:
    procedure = PROCEDURES.get(sent["method"])
    if procedure is None:
        raise _MethodNotFound(BAD_REQUEST, f"Method not found: {printable(sent['method'])}")
    return run.run(procedure, lambda: _params(procedure, sent))


def _params(procedure: Procedure, sent: dict[str, Any]) -> Any:
    """By name as they are, by position in the order of the input's fields."""
    params = sent.get("params", {})
    if isinstance(params, dict):
        return params
    assert procedure.input
    fields = list(procedure.input.model_fields)
    if len(params) > len(fields):
        raise Failure(BAD_REQUEST, f"params: at most {len(fields)}: {', '.join(fields)}")
    return dict(zip(fields, params, strict=False))


def _invalid(sent: Any) -> str:
    """What is wrong with a request object; "" if nothing."""
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
    """A string, a number that JSON can say again (1e400 can't), or null."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, str | int) and not isinstance(value, bool))


def _error(id_: Any, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "error": {"code": code, "message": message}, "id": id_}


def _json(body: Any) -> HttpResponse:
    if body is _NOTHING:
        return HttpResponse(status=204)
    response = HttpResponse(json.dumps(body, separators=(",", ":")), content_type="application/json")
    response["Cache-Control"] = "no-store"
    return response


def _refusal(status: int, code: int, message: str, **headers: str) -> HttpResponse:
    """What is wrong before there is a JSON-RPC request: HTTP says it, and so does the body."""
    response = _json(_error(None, code, message))
    response.status_code = status
    for name, value in headers.items():
        response[name] = value
    return response
