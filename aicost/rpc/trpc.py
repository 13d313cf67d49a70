"""tRPC over HTTP as its official server speaks it (v11), for the official clients of v10 and v11.

The order of checks is that server's: HEAD, percent-encoding, media type, batch size, mixed kinds,
stream without batch; then for each member path, method, caller, input, procedure.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.csrf import csrf_exempt

from aicost.api.errors import (
    BAD_REQUEST,
    METHOD_NOT_SUPPORTED,
    NOT_FOUND,
    UNSUPPORTED_MEDIA_TYPE,
    Failure,
    failure,
)
from aicost.api.procedures import PROCEDURES
from aicost.api.registry import UNDEFINED, Procedure
from aicost.rpc.run import Request, body_of
from billing.json_decoding import InvalidJSON, decode_floats
from products.printable import printable

JSON = "application/json"
STREAM = "application/jsonl"
_OTHER_KNOWN_TYPES = ("multipart/form-data", "application/octet-stream")


class Answer(NamedTuple):
    """An envelope, with the status that it would have alone."""

    envelope: dict[str, Any]
    status: int


@csrf_exempt  # what changes state by a session is checked in `Request.run`
@login_not_required
def trpc(request: HttpRequest, path: str = "") -> HttpResponse:
    if request.method == "HEAD":
        response = HttpResponse(status=204)
        del response["Content-Type"]  # of no content
        return response
    try:
        return _respond(request, _Call(request, path.removeprefix("/")))
    except Exception as error:
        told = failure(error)
        return _json(_error(told, None).envelope, told.code.http)


class _Call:
    """A request's paths and inputs. Raises `Failure` for what is wrong with the whole request."""

    def __init__(self, request: HttpRequest, path: str) -> None:
        self.request = request
        path = _decoded_path(request, path)
        if request.method != "GET":
            _check_media_type(request)
        is_json = request.method == "GET" or _media_type(request) == JSON
        self.query = _query(request)
        self.is_batch = is_json and self.query.get("batch") == "1"
        self.paths = path.split(",") if self.is_batch else [path]
        if len(self.paths) > settings.RPC_MAX_BATCH:
            raise Failure(BAD_REQUEST, f"Batch call exceeds maximum size of {settings.RPC_MAX_BATCH}")
        self.procedures = [PROCEDURES.get(name) for name in self.paths]
        kinds = dict.fromkeys(procedure.kind for procedure in self.procedures if procedure)
        if len(kinds) > 1:
            raise Failure(BAD_REQUEST, f"Cannot mix procedure types in call: {', '.join(kinds)}")
        self.is_stream = _wants_stream(request)
        if self.is_stream and not self.is_batch:
            raise Failure(BAD_REQUEST, "Streaming requests must be batched (you can do a batch of 1)")
        self._inputs: Any = None

    def input(self, position: int) -> object:
        """The member's input; read only where a procedure wants it. Raises `Failure` for bad JSON."""
        if self._inputs is None:
            self._inputs = self._read_inputs()
        if not self.is_batch:
            return self._inputs
        return self._inputs.get(str(position), UNDEFINED)

    def _read_inputs(self) -> Any:
        text = self._text()
        if not text:
            return {} if self.is_batch else UNDEFINED
        try:
            value = decode_floats(text)
        except InvalidJSON as error:
            raise Failure(BAD_REQUEST, f"input: is not valid JSON: {printable(str(error))}") from None
        if self.is_batch and not isinstance(value, dict):
            raise Failure(BAD_REQUEST, 'input: must be an object with the members "0", "1", …')
        return value

    def _text(self) -> bytes | str:
        if self.request.method != "POST":
            return self.query.get("input", "")
        if _media_type(self.request) != JSON:
            raise Failure(BAD_REQUEST, f"input: must be JSON, not {_media_type(self.request)}")
        return body_of(self.request)


def _decoded_path(request: HttpRequest, path: str) -> str:
    """The path behind the base, percent-decoded once. Raises `Failure` for bad encoding.

    Most servers hand the raw path over. Where one does not, Django's is decoded already, with bad
    encoding left as it was; no procedure has a percent sign in its name.
    """
    raw = request.META.get("RAW_URI") or request.META.get("REQUEST_URI")
    tail = raw.partition("?")[0].partition("/trpc/")[2] if raw else path
    if re.search(r"%(?![0-9A-Fa-f]{2})" if raw else "%", tail):
        raise Failure(BAD_REQUEST, "The path is not validly percent-encoded.")
    try:
        return unquote_to_bytes(tail).decode()
    except UnicodeDecodeError:
        raise Failure(BAD_REQUEST, "The path is not validly percent-encoded.") from None


def _query(request: HttpRequest) -> dict[str, str]:
    """The query's parameters; of one that comes twice the first, where Django's own choice is the last.

    In UTF-8, whatever charset the content type names: on a GET that type means nothing.
    """
    text = request.META.get("QUERY_STRING", "").encode("latin-1", "replace")
    return {name: values[0] for name, values in QueryDict(text, encoding="utf-8").lists()}


def _wants_stream(request: HttpRequest) -> bool:
    told = request.headers.get("trpc-accept")
    if told is not None:
        return told == STREAM
    return STREAM in (one.strip() for one in request.headers.get("Accept", "").split(","))


def _media_type(request: HttpRequest) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _check_media_type(request: HttpRequest) -> None:
    if _media_type(request) not in (JSON, *_OTHER_KNOWN_TYPES):
        told = printable(request.headers.get("Content-Type", ""))
        raise Failure(UNSUPPORTED_MEDIA_TYPE, f"Unsupported content-type: {told or 'none'}")


def _respond(request: HttpRequest, call: _Call) -> HttpResponse:
    run = Request(request)
    answers = [_member(run, call, position) for position in range(len(call.paths))]
    response = _answer(call, answers)
    # A batch is of one kind, so the procedures in it have one method.
    allowed = {_method_of(procedure) for procedure in call.procedures if procedure}
    if allowed and request.method not in allowed:
        response["Allow"] = allowed.pop()
    return response


def _answer(call: _Call, answers: Sequence[Answer]) -> HttpResponse:
    if not call.is_batch:
        return _json(answers[0].envelope, answers[0].status)
    if call.is_stream:
        return _stream(answers)
    statuses = {answer.status for answer in answers}
    status = statuses.pop() if len(statuses) == 1 else 207
    return _json([answer.envelope for answer in answers], status)


def _member(run: Request, call: _Call, position: int) -> Answer:
    path, procedure = call.paths[position], call.procedures[position]
    try:
        if procedure is None:
            raise Failure(NOT_FOUND, f'No procedure found on path "{printable(path)}"')
        _check_method(run.http, procedure, path)
        return Answer({"result": {"data": run.run(procedure, lambda: call.input(position))}}, 200)
    except Exception as error:
        return _error(failure(error), path)


def _method_of(procedure: Procedure) -> str:
    return "POST" if procedure.kind == "mutation" else "GET"


def _check_method(http: HttpRequest, procedure: Procedure, path: str) -> None:
    if http.method != _method_of(procedure):
        reason = f'Unsupported {http.method}-request to {procedure.kind} procedure at path "{path}"'
        raise Failure(METHOD_NOT_SUPPORTED, reason)


def _error(told: Failure, path: str | None) -> Answer:
    data: dict[str, Any] = {"code": told.code.key, "httpStatus": told.code.http}
    if path is not None:
        data["path"] = path
    error = {"message": told.message, "code": told.code.number, "data": data}
    return Answer({"error": error}, told.code.http)


def _json(body: Any, status: int) -> HttpResponse:
    response = HttpResponse(json.dumps(body, separators=(",", ":")), content_type=JSON, status=status)
    response["Vary"] = "trpc-accept, accept"
    if status == 429:
        response["Retry-After"] = "60"
    response["Cache-Control"] = "no-store"
    return response


def _stream(answers: Sequence[Answer]) -> HttpResponse:
    """All members in the stream's first line, which the client takes as fulfilled. The status is always
    200, and the line ends: an unterminated one would be dropped."""
    head = {str(position): [[answer.envelope]] for position, answer in enumerate(answers)}
    line = json.dumps(head, separators=(",", ":")) + "\n"
    response = HttpResponse(line, content_type=JSON)
    response["Vary"] = "trpc-accept, accept"
    response["Cache-Control"] = "no-store"
    return response
