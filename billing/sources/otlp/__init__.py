"""OpenTelemetry traces as OTLP carries them: the spans of a request, and the event that each becomes.

A span that calls a model becomes a deduction. Its run is the trace; its job is the span directly above it
(an agent's turn, say), or the span itself if it has no parent. The event happened when the span ended: the
tokens are counted and charged then, and a log of the same call has that instant, too. A call without any
usage, such as a failed one, becomes a `job` event and costs nothing.
"""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from billing.events.parsing import read
from billing.events.usage_event import (
    DEDUCTION,
    EARLIEST,
    JOB,
    LATEST_AHEAD,
    NO_TOKENS,
    TOKEN_FIELDS,
    EventError,
    Rejection,
    Tokens,
    UsageEvent,
)
from billing.json_decoding import InvalidJSON, decode_floats
from billing.sources import Context, span_attributes
from products.printable import printable


class Malformed(ValueError):
    """A body that is not an OTLP request."""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """What runs and jobs take from a span. Ids are lower-case hex; the `parent_id` of a root is ""."""

    trace_id: str
    span_id: str
    parent_id: str = ""
    agent_name: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    failed: bool = False
    calls_model: bool = False

    @property
    def event_id(self) -> str:
        return f"{self.trace_id}:{self.span_id}"

    @property
    def job_id(self) -> str:
        """The job of a span that calls a model."""
        return f"{self.trace_id}:{self.parent_id or self.span_id}"


class Found(msgspec.Struct, frozen=True):
    """A span, with the event that records it if it calls a model."""

    span: Span
    event: UsageEvent | None = None


def from_protobuf(body: bytes) -> ExportTraceServiceRequest:
    """Raises `Malformed`."""
    try:
        return ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        raise Malformed("The body is not an ExportTraceServiceRequest in protobuf.") from None


def from_json(body: bytes) -> ExportTraceServiceRequest:
    """Decode OTLP's JSON mapping: that of protobuf, except that ids are hex. Raises `Malformed`."""
    try:
        value = decode_floats(body)
        if not isinstance(value, dict):
            raise Malformed("The body is not a JSON object.")
        for span in _json_spans(value):
            _prepare(span)
        return ParseDict(value, ExportTraceServiceRequest(), ignore_unknown_fields=True)
    except InvalidJSON as error:
        raise Malformed(f"The body is not valid JSON: {error}") from None
    except UnicodeError as error:  # protobuf takes no unpaired surrogate
        raise Malformed(f"The body is not valid Unicode: {printable(str(error))}") from None
    except RecursionError:  # protobuf's parser takes several frames for each level
        raise Malformed("The body is nested too deeply.") from None
    except ParseError as error:
        raise Malformed(
            f"The body is not an ExportTraceServiceRequest in JSON: {printable(str(error), 300)}"
        ) from None


def _json_spans(value: Any) -> Iterator[dict[str, Any]]:
    for resource in _objects(value, "resourceSpans"):
        for scope in _objects(resource, "scopeSpans"):
            yield from _objects(scope, "spans")


def _objects(value: Any, name: str) -> list[dict[str, Any]]:
    """The objects in a list; anything else is left for protobuf's parser to refuse."""
    inner = value.get(name) if isinstance(value, dict) else None
    return [one for one in inner if isinstance(one, dict)] if isinstance(inner, list) else []


_HEX = re.compile(r"([0-9a-fA-F]{2})*")


def _prepare(span: dict[str, Any]) -> None:
    """Encode ids as protobuf's own mapping has them, and remove what is never read."""
    span.pop("links", None)
    span.pop("events", None)
    if isinstance(span.get("attributes"), list):
        span["attributes"] = [one for one in span["attributes"] if _is_read(one)]
    for name in ("traceId", "spanId", "parentSpanId"):
        text = span.get(name)
        if isinstance(text, str):
            raw = bytes.fromhex(text) if _HEX.fullmatch(text) else b"?"  # of a wrong length
            span[name] = base64.b64encode(raw).decode()


def _is_read(attribute: Any) -> bool:
    """Whatever is not an attribute stays, for protobuf's parser to refuse."""
    key = attribute.get("key") if isinstance(attribute, dict) else None
    return not isinstance(key, str) or key in span_attributes.READ


def spans(request: ExportTraceServiceRequest, context: Context) -> Iterator[Found | Rejection]:
    """Yield every span of a request, or why it can't be recorded."""
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield _found(span, context)


def _found(wire: trace_pb2.Span, context: Context) -> Found | Rejection:
    try:
        attributes = _attributes(wire)
        span = _span(wire, attributes, context.now + LATEST_AHEAD)
        return Found(span, _event(wire, span, attributes, context) if span.calls_model else None)
    except EventError as error:
        event_id = f"{wire.trace_id.hex()[:32]}:{wire.span_id.hex()[:16]}"
        field = "end_time_unix_nano" if error.field == "occurredAt" else error.field
        return Rejection(event_id=event_id, field=field, reason=error.reason)


def _span(wire: trace_pb2.Span, attributes: span_attributes.Attributes, latest: datetime) -> Span:
    return Span(
        trace_id=_id("trace_id", wire.trace_id, 16),
        span_id=_id("span_id", wire.span_id, 8),
        parent_id=_id("parent_span_id", wire.parent_span_id, 8) if any(wire.parent_span_id) else "",
        agent_name=span_attributes.agent_name(attributes),
        started_at=_plausible(_at(wire.start_time_unix_nano), latest),
        finished_at=_plausible(_at(wire.end_time_unix_nano), latest),
        failed=wire.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        calls_model=span_attributes.calls_model(attributes),
    )


def _id(field: str, raw: bytes, length: int) -> str:
    if len(raw) != length or not any(raw):
        raise EventError(field, f"must be {length} bytes, not all of them 0")
    return raw.hex()


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _at(nanos: int) -> datetime | None:
    """Cut to microseconds; None for 0, which means unknown."""
    return _EPOCH + timedelta(microseconds=nanos // 1000) if nanos else None


def _plausible(instant: datetime | None, latest: datetime) -> datetime | None:
    """The instant, or None if no clock can have shown it."""
    return instant if instant and EARLIEST <= instant <= latest else None


def _attributes(wire: trace_pb2.Span) -> dict[str, Any]:
    return {one.key: _plain(one.value) for one in wire.attributes if one.key in span_attributes.READ}


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None


def _event(
    wire: trace_pb2.Span, span: Span, attributes: span_attributes.Attributes, context: Context
) -> UsageEvent:
    tokens, cost = span_attributes.tokens(attributes), span_attributes.cost(attributes)
    fields: dict[str, Any] = {
        "kind": JOB,
        "occurredAt": _at(wire.end_time_unix_nano or wire.start_time_unix_nano),
        "runId": span.trace_id,
        "jobId": span.job_id,
    }
    if tokens is not None or cost is not None:
        fields |= {"kind": DEDUCTION, "eventId": span.event_id, "model": span_attributes.model(attributes)}
        fields |= {"costDollars": cost, **_counts(tokens or NO_TOKENS)}
    return read(fields, now=context.now, credits_per_dollar=context.credits_per_dollar)


def _counts(tokens: Tokens) -> dict[str, int]:
    return dict(zip(TOKEN_FIELDS, msgspec.structs.astuple(tokens), strict=True))
