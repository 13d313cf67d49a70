"""What the OTLP endpoints share: the encodings of a request, its errors and its response.

As OTLP specifies, a refused request is answered with a `google.rpc.Status`, and what can't be recorded is
reported in `partial_success`, in the encoding of the request.
"""

import functools
import json
from collections import Counter
from collections.abc import Callable, Sequence

from django.http import HttpRequest, HttpResponse
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

from aicost.intake.body import MAX_EVENTS, RequestRefused, read_body
from billing import intake_counts
from billing.events.usage_event import Rejection, UsageEvent
from billing.intake_counts import Counts, Kind
from billing.ledger import Outcome
from billing.sources import otlp
from billing.sources.otlp import bodies
from billing.sources.otlp.unknown_usage import NotUnderstood

PROTOBUF, JSON = "application/x-protobuf", "application/json"
READERS = {PROTOBUF: bodies.from_protobuf, JSON: bodies.from_json}
NAMED = 5
"""How many rejected spans or log records a response names."""


def with_otlp_errors(endpoint: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Turn the endpoint's JSON errors into `google.rpc.Status` messages."""

    @functools.wraps(endpoint)
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


def read_request(request: HttpRequest, kind: type[bodies.Request]) -> bodies.Request:
    """Raises `RequestRefused`."""
    media_type = str(request.content_type)
    if media_type not in READERS:
        raise RequestRefused(415, f"Send {PROTOBUF} or {JSON}.")
    try:
        return READERS[media_type](read_body(request), kind)
    except bodies.Malformed as malformed:
        raise RequestRefused(400, str(malformed)) from None


def refuse_too_many(calls: int) -> None:
    """Raises `RequestRefused` if a request has more model calls than are recorded at once."""
    if calls > MAX_EVENTS:
        raise RequestRefused(
            413, f"A request has at most {MAX_EVENTS:,} model calls; this one has {calls:,}."
        )


def counts_of(
    endpoint: str,
    events: Sequence[UsageEvent | Rejection | None],
    not_understood: Sequence[NotUnderstood],
    outcomes: Sequence[Outcome],
) -> Counts:
    """What became of each event, and what was not understood, by the scope of its instrumentation."""
    counts = intake_counts.counts_of(endpoint, events, outcomes, lambda event: otlp.scope_of(event.sender))
    counts.update(Kind(endpoint, item.scope, item.version, item.reason) for item in not_understood)
    return counts


def answer(request: HttpRequest, message: Message) -> HttpResponse:
    response = HttpResponse(
        _encoded(message, str(request.content_type)), content_type=str(request.content_type)
    )
    response["Cache-Control"] = "no-store"
    return response


def rejected(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.status not in ("recorded", "duplicate")]


def _encoded(message: Message, media_type: str) -> bytes:
    if media_type == PROTOBUF:
        return message.SerializeToString()
    return MessageToJson(message, indent=None).encode()


def reasons(rejected: Sequence[Outcome]) -> list[str]:
    named = [
        f"{outcome.event_id}: {outcome.field and outcome.field + ' '}{outcome.reason}"
        for outcome in rejected[:NAMED]
    ]
    more = [f"{len(rejected) - NAMED:,} more"] if len(rejected) > NAMED else []
    return [*named, *more]


def kinds_of(not_understood: Sequence[NotUnderstood]) -> list[str]:
    """The kinds of what looks like usage but is not recorded, or in part, the most frequent first."""
    kinds = Counter((_what_became(item), item.kind) for item in not_understood).most_common()
    named = [f"{became}: {number:,} × {kind}" for (became, kind), number in kinds[:NAMED]]
    rest: Counter[str] = Counter()
    for (became, _), number in kinds[NAMED:]:
        rest[became] += number
    return [*named, *(f"{became}: {number:,} of other kinds" for became, number in rest.items())]


def _what_became(item: NotUnderstood) -> str:
    return "recorded in part" if item.is_recorded else "not recorded"


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
