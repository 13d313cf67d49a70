"""tRPC over HTTP, compatible with the official server (v11) and the official clients of v10 and v11.

Requests are checked in the official server's order: HEAD, percent-encoding, media type, batch size, mixed
kinds, stream without batch; then for each call path, method, caller, input, procedure.
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
    ApiError,
    api_error,
)
from aicost.api.procedures import PROCEDURES
from aicost.api.registry import UNDEFINED, Procedure
from aicost.rpc.execution import ProcedureRunner, read_body
from billing.json_decoding import InvalidJSON, decode_floats
from products.printable import printable

JSON = "application/json"
STREAM = "application/jsonl"
_OTHER_ACCEPTED_TYPES = ("multipart/form-data", "application/octet-stream")


class Answer(NamedTuple):
    """A tRPC envelope, and the HTTP status that it would have on its own."""

    envelope: dict[str, Any]
    status: int


@csrf_exempt  # `ProcedureRunner.run` checks CSRF where it matters
@login_not_required
def trpc(request: HttpRequest, path: str = "") -> HttpResponse:
    if request.method == "HEAD":
        response = HttpResponse(status=204)
        del response["Content-Type"]  # there is no content
        return response
    try:
        return _respond(request, _Batch(request, path.removeprefix("/")))
    except Exception as error:
        refusal = api_error(error)
        return _json(_error(refusal, None).envelope, refusal.code.http)


class _Batch:
    """The paths and inputs of a request's calls. Raises `ApiError` if the request as a whole is wrong."""

    def __init__(self, request: HttpRequest, path: str) -> None:
        self.request = request
        path = _decoded_path(request, path)
        if request.method != "GET":
            _check_media_type(request)
        is_json = request.method == "GET" or request.content_type == JSON
        self.query = _query(request)
        self.is_batch = is_json and self.query.get("batch") == "1"
        self.paths = path.split(",") if self.is_batch else [path]
        if len(self.paths) > settings.RPC_MAX_BATCH:
            raise ApiError(BAD_REQUEST, f"Batch call exceeds maximum size of {settings.RPC_MAX_BATCH}")
        self.procedures = [PROCEDURES.get(name) for name in self.paths]
        kinds = dict.fromkeys(procedure.kind for procedure in self.procedures if procedure)
        if len(kinds) > 1:
            raise ApiError(BAD_REQUEST, f"Cannot mix procedure types in call: {', '.join(kinds)}")
        self.is_stream = _wants_stream(request)
        if self.is_stream and not self.is_batch:
            raise ApiError(BAD_REQUEST, "Streaming requests must be batched (you can do a batch of 1)")
        self._inputs: Any = None

    def input(self, position: int) -> object:
        """The input of one call. The body is parsed on first use; raises `ApiError` for bad JSON."""
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
            raise ApiError(BAD_REQUEST, f"input: is not valid JSON: {printable(str(error))}") from None
        if self.is_batch and not isinstance(value, dict):
            raise ApiError(BAD_REQUEST, 'input: must be an object with the members "0", "1", …')
        return value

    def _text(self) -> bytes | str:
        if self.request.method != "POST":
            return self.query.get("input", "")
        if self.request.content_type != JSON:
            raise ApiError(BAD_REQUEST, f"input: must be JSON, not {self.request.content_type}")
        return read_body(self.request)


def _decoded_path(request: HttpRequest, path: str) -> str:
    """The path after the base, percent-decoded once. Raises `ApiError` for bad encoding.

    Most servers pass on the raw path. Without it there is only Django's path, already decoded except for
    invalid sequences; a percent sign left in it is an error, because no procedure's name has one.
    """
    raw = request.META.get("RAW_URI") or request.META.get("REQUEST_URI")
    tail = raw.partition("?")[0].partition("/trpc/")[2] if raw else path
    if re.search(r"%(?![0-9A-Fa-f]{2})" if raw else "%", tail):
        raise ApiError(BAD_REQUEST, "The path is not validly percent-encoded.")
    try:
        return unquote_to_bytes(tail).decode()
    except UnicodeDecodeError:
        raise ApiError(BAD_REQUEST, "The path is not validly percent-encoded.") from None


def _query(request: HttpRequest) -> dict[str, str]:
    """The query parameters. Of repeated ones the first counts, where `request.GET` would take the last.

    Always decoded as UTF-8; `request.GET` would use the charset of the content type, meaningless on a GET.
    """
    text = request.META.get("QUERY_STRING", "").encode("latin-1", "replace")
    return {name: values[0] for name, values in QueryDict(text, encoding="utf-8").lists()}


def _wants_stream(request: HttpRequest) -> bool:
    accepted = request.headers.get("trpc-accept")
    if accepted is not None:
        return accepted == STREAM
    return STREAM in (type_.strip() for type_ in request.headers.get("Accept", "").split(","))


def _check_media_type(request: HttpRequest) -> None:
    if request.content_type not in (JSON, *_OTHER_ACCEPTED_TYPES):
        sent = printable(request.headers.get("Content-Type", ""))
        raise ApiError(UNSUPPORTED_MEDIA_TYPE, f"Unsupported content-type: {sent or 'none'}")


def _respond(request: HttpRequest, batch: _Batch) -> HttpResponse:
    runner = ProcedureRunner(request)
    answers = [_answer_call(runner, batch, position) for position in range(len(batch.paths))]
    response = _to_response(batch, answers)
    # All procedures in a batch are of one kind, so they have the same method.
    allowed = {_method_of(procedure) for procedure in batch.procedures if procedure}
    if allowed and request.method not in allowed:
        response["Allow"] = allowed.pop()
    return response


def _to_response(batch: _Batch, answers: Sequence[Answer]) -> HttpResponse:
    if not batch.is_batch:
        return _json(answers[0].envelope, answers[0].status)
    if batch.is_stream:
        return _stream(answers)
    statuses = {answer.status for answer in answers}
    status = statuses.pop() if len(statuses) == 1 else 207
    return _json([answer.envelope for answer in answers], status)


def _answer_call(runner: ProcedureRunner, batch: _Batch, position: int) -> Answer:
    path, procedure = batch.paths[position], batch.procedures[position]
    try:
        if procedure is None:
            raise ApiError(NOT_FOUND, f'No procedure found on path "{printable(path)}"')
        _check_method(runner.http, procedure, path)
        data = runner.run(procedure, lambda: batch.input(position))
        return Answer({"result": {"data": data}}, 200)
    except Exception as error:
        return _error(api_error(error), path)


def _method_of(procedure: Procedure) -> str:
    return "POST" if procedure.kind == "mutation" else "GET"


def _check_method(http: HttpRequest, procedure: Procedure, path: str) -> None:
    if http.method != _method_of(procedure):
        reason = f'Unsupported {http.method}-request to {procedure.kind} procedure at path "{path}"'
        raise ApiError(METHOD_NOT_SUPPORTED, reason)


def _error(error: ApiError, path: str | None) -> Answer:
    data: dict[str, Any] = {"code": error.code.key, "httpStatus": error.code.http}
    if path is not None:
        data["path"] = path
    body = {"message": error.message, "code": error.code.number, "data": data}
    return Answer({"error": body}, error.code.http)


def _json(body: Any, status: int) -> HttpResponse:
    response = HttpResponse(json.dumps(body, separators=(",", ":")), content_type=JSON, status=status)
    response["Vary"] = "trpc-accept, accept"
    if status == 429:
        response["Retry-After"] = "60"
    response["Cache-Control"] = "no-store"
    return response


def _stream(answers: Sequence[Answer]) -> HttpResponse:
    """All answers in the first line of a stream, which clients read as settled promises.

    The status is always 200. Clients ignore a line without a line break at its end.
    """
    head = {str(position): [[answer.envelope]] for position, answer in enumerate(answers)}
    line = json.dumps(head, separators=(",", ":")) + "\n"
    response = HttpResponse(line, content_type=JSON)
    response["Vary"] = "trpc-accept, accept"
    response["Cache-Control"] = "no-store"
    return response
