"""`POST /v1/traces`: OpenTelemetry traces by OTLP over HTTP, in protobuf or JSON.

What goes wrong is told as OTLP wants it: of a request by a `google.rpc.Status`, of single spans by
`partial_success`, both in the encoding of the request.
"""

import functools
import json
from collections.abc import Callable, Sequence

from django.http import HttpRequest, HttpResponse
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from aicost.intake.body import MAX_EVENTS, Refused, body_of, context, door, media_type
from aicost.views.metrics import count
from billing.ledger import traces as billing_traces
from billing.ledger.recording import Outcome
from billing.sources import otlp
from products.models import Project

PROTOBUF, JSON = "application/x-protobuf", "application/json"
READERS = {PROTOBUF: otlp.from_protobuf, JSON: otlp.from_json}
NAMED_SPANS = 5
"""How many of the spans that can't be booked are named to the sender."""


def in_otlp(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Refusals of the door in the words of OTLP."""

    @functools.wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        response = view(request)
        if response.status_code != 200:
            reason = json.loads(response.content)["error"]
            _write_status(response, media_type(request), reason)
        return response

    return answer


@in_otlp
@door
def traces(request: HttpRequest, project: Project) -> HttpResponse:
    """200 with the spans that can't be booked named; a sender would only repeat them if it were told more."""
    kind = media_type(request)
    if kind not in READERS:
        raise Refused(415, f"Send {PROTOBUF} or {JSON}.")
    found = list(otlp.spans(_read(kind, body_of(request)), context()))
    calls = sum(not isinstance(one, otlp.Found) or one.event is not None for one in found)
    if calls > MAX_EVENTS:
        raise Refused(413, f"A request has at most {MAX_EVENTS:,} model calls; this one has {calls:,}.")
    outcomes = billing_traces.record(project, found)
    count("traces", (outcome for outcome in outcomes if outcome is not billing_traces.REMEMBERED))
    return _answer(kind, outcomes)


def _read(kind: str, body: bytes) -> ExportTraceServiceRequest:
    try:
        return READERS[kind](body)
    except otlp.Malformed as malformed:
        raise Refused(400, str(malformed)) from None


def _answer(kind: str, outcomes: Sequence[Outcome]) -> HttpResponse:
    response = ExportTraceServiceResponse()
    wrong = [outcome for outcome in outcomes if outcome.status not in ("recorded", "duplicate")]
    if wrong:
        response.partial_success.rejected_spans = len(wrong)
        response.partial_success.error_message = _reasons(wrong)
    body = MessageToJson(response, indent=None) if kind == JSON else response.SerializeToString()
    answer = HttpResponse(body, content_type=kind)
    answer["Cache-Control"] = "no-store"
    return answer


def _reasons(wrong: Sequence[Outcome]) -> str:
    named = [
        f"{outcome.event_id}: {outcome.field and outcome.field + ' '}{outcome.reason}"
        for outcome in wrong[:NAMED_SPANS]
    ]
    more = [f"{len(wrong) - NAMED_SPANS:,} more"] if len(wrong) > NAMED_SPANS else []
    return "; ".join([*named, *more])


# HTTP status → number of google.rpc.Code.
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 411: 3, 413: 3, 415: 3, 422: 3, 429: 8, 500: 13, 503: 14}
_UNKNOWN = 2


def _write_status(response: HttpResponse, kind: str, message: str) -> None:
    code = _CODES.get(response.status_code, _UNKNOWN)
    if kind == PROTOBUF:
        # On the wire a google.rpc.Status: a number in field 1, a text in field 2.
        status = ExportTracePartialSuccess(rejected_spans=code, error_message=message)
        response.content = status.SerializeToString()
        response["Content-Type"] = PROTOBUF
    else:
        response.content = json.dumps({"code": code, "message": message}).encode()
