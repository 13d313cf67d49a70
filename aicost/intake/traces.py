"""`POST /v1/traces`: OpenTelemetry traces in OTLP over HTTP, as protobuf or JSON.

As OTLP specifies, a refused request is answered with a `google.rpc.Status`, and rejected spans are
reported in `partial_success`, in the encoding of the request.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial, wraps

from django.http import HttpRequest, HttpResponse
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from aicost.intake.body import MAX_EVENTS, RequestRefused, read_body
from aicost.intake.endpoint import parsing_context, usage_endpoint
from aicost.intake.metrics import count, count_not_understood
from billing import intake_counts
from billing.events.usage_event import Rejection
from billing.intake_counts import Kind
from billing.ledger import traces as billing_traces
from billing.ledger.recording import Outcome
from billing.sources import otlp
from billing.sources.otlp import bodies
from billing.sources.otlp.unknown_usage import NotUnderstood
from products.models import Project

NAME = "traces"
PROTOBUF, JSON = "application/x-protobuf", "application/json"
READERS = {PROTOBUF: bodies.from_protobuf, JSON: bodies.from_json}
NAMED_SPANS = 5
"""How many rejected spans the response names, and how many kinds of spans that are not understood."""


def with_otlp_errors(endpoint: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Turn the endpoint's JSON errors into `google.rpc.Status` messages."""

    @wraps(endpoint)
    def wrapped(request: HttpRequest) -> HttpResponse:
        response = endpoint(request)
        if response.status_code != 200:
            code = _CODES.get(response.status_code, Code.UNKNOWN)
            status = Status(code=code, message=json.loads(response.content)["error"])
            media_type = PROTOBUF if request.content_type == PROTOBUF else JSON
            response.content = _encoded(status, media_type)
            response["Content-Type"] = media_type
        return response

    return wrapped


@with_otlp_errors
@usage_endpoint
def traces(request: HttpRequest, project: Project) -> HttpResponse:
    """The status is 200 even if spans were rejected: after an error, exporters send all of them again."""
    media_type = str(request.content_type)
    if media_type not in READERS:
        raise RequestRefused(415, f"Send {PROTOBUF} or {JSON}.")
    items = list(otlp.spans(_read(media_type, read_body(request)), parsing_context()))
    spans = [item for item in items if not isinstance(item, NotUnderstood)]
    calls = sum(not isinstance(span, otlp.Found) or span.event is not None for span in spans)
    if calls > MAX_EVENTS:
        raise RequestRefused(
            413, f"A request has at most {MAX_EVENTS:,} model calls; this one has {calls:,}."
        )
    not_understood = [item for item in items if isinstance(item, NotUnderstood)]
    outcomes = billing_traces.record(project, spans, then=partial(_count, project, spans, not_understood))
    count(NAME, (outcome for outcome in outcomes if outcome is not billing_traces.REMEMBERED))
    count_not_understood(NAME, (item.reason for item in not_understood))
    return _response(media_type, outcomes, not_understood)


def _count(
    project: Project,
    spans: Sequence[otlp.Found | Rejection],
    not_understood: Sequence[NotUnderstood],
    outcomes: Sequence[Outcome],
) -> None:
    events = [span.event if isinstance(span, otlp.Found) else span for span in spans]
    counts = intake_counts.counts_of(NAME, events, outcomes, lambda event: otlp.scope_of(event.sender))
    counts.update(Kind(NAME, item.scope, item.version, item.reason) for item in not_understood)
    intake_counts.add(project, counts)


def _read(media_type: str, body: bytes) -> ExportTraceServiceRequest:
    try:
        return READERS[media_type](body)
    except bodies.Malformed as malformed:
        raise RequestRefused(400, str(malformed)) from None


def _response(
    media_type: str, outcomes: Sequence[Outcome], not_understood: Sequence[NotUnderstood]
) -> HttpResponse:
    message = ExportTraceServiceResponse()
    rejected = [outcome for outcome in outcomes if outcome.status not in ("recorded", "duplicate")]
    if rejected or not_understood:
        # With no rejected spans, the message is a warning.
        message.partial_success.rejected_spans = len(rejected)
        message.partial_success.error_message = "; ".join([*_reasons(rejected), *_kinds(not_understood)])
    response = HttpResponse(_encoded(message, media_type), content_type=media_type)
    response["Cache-Control"] = "no-store"
    return response


def _encoded(message: Message, media_type: str) -> bytes:
    if media_type == PROTOBUF:
        return message.SerializeToString()
    return MessageToJson(message, indent=None).encode()


def _reasons(rejected: Sequence[Outcome]) -> list[str]:
    named = [
        f"{outcome.event_id}: {outcome.field and outcome.field + ' '}{outcome.reason}"
        for outcome in rejected[:NAMED_SPANS]
    ]
    more = [f"{len(rejected) - NAMED_SPANS:,} more"] if len(rejected) > NAMED_SPANS else []
    return [*named, *more]


def _kinds(not_understood: Sequence[NotUnderstood]) -> list[str]:
    """The kinds of spans that look like usage but are not recorded, the most frequent first."""
    kinds = Counter(item.kind for item in not_understood).most_common()
    named = [f"not recorded: {number:,} × {kind}" for kind, number in kinds[:NAMED_SPANS]]
    rest = sum(number for _, number in kinds[NAMED_SPANS:])
    return [*named, *([f"not recorded: {rest:,} of other kinds"] if rest else [])]


_CODES = {
    **dict.fromkeys((400, 411, 413, 415, 422), Code.INVALID_ARGUMENT),
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    405: Code.UNIMPLEMENTED,
    429: Code.RESOURCE_EXHAUSTED,
    500: Code.INTERNAL,
    503: Code.UNAVAILABLE,
}
"""HTTP status → code of the `Status`."""
