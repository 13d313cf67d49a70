"""Traces as exporters send them: protobuf messages, or JSON by OTLP's mapping."""

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from billing.sources.otlp import bodies
from tests.conftest import NOW

PROTOBUF, JSON = "application/x-protobuf", "application/json"

from_protobuf = partial(bodies.from_protobuf, kind=ExportTraceServiceRequest)
from_json = partial(bodies.from_json, kind=ExportTraceServiceRequest)

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 1_000,
    "gen_ai.usage.output_tokens": 100,
}
CHAT_NANOS = 3_500_000
"""What `CHAT` costs."""
SUMS = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 1}


def trace_id(number: int) -> str:
    return f"{number:032x}"


def span_id(number: int) -> str:
    return f"{number:016x}"


def event_id(number: int, trace: int = 1) -> str:
    return f"{trace_id(trace)}:{span_id(number)}"


def nanos(instant: datetime) -> int:
    return (instant - datetime.fromtimestamp(0, instant.tzinfo)) // timedelta(microseconds=1) * 1_000


def span(
    number: int,
    attributes: Mapping[str, Any] = {},
    *,
    parent: int = 0,
    trace: int = 1,
    ended: datetime = NOW,
    seconds: float = 2,
    error: bool = False,
    name: str = "a span",
) -> Span:
    return Span(
        trace_id=trace.to_bytes(16),
        span_id=number.to_bytes(8),
        parent_span_id=parent.to_bytes(8) if parent else b"",
        name=name,
        start_time_unix_nano=nanos(ended - timedelta(seconds=seconds)),
        end_time_unix_nano=nanos(ended),
        attributes=[KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()],
        status=Status(code=Status.STATUS_CODE_ERROR if error else Status.STATUS_CODE_UNSET),
    )


def any_value(value: Any) -> AnyValue:
    kinds = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}
    return AnyValue(**{kinds[type(value)]: value})


def chat(number: int, more: Mapping[str, Any] = {}, **options: Any) -> Span:
    return span(number, {**CHAT, **more}, **options)


def agent(number: int, name: str, more: Mapping[str, Any] = {}, **options: Any) -> Span:
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name}
    return span(number, {**attributes, **more}, **options)


def request(*spans: Span, scope: str = "", version: str = "", service: str = "") -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    if service:
        resource.resource.attributes.add(key="service.name", value=any_value(service))
    scoped = resource.scope_spans.add()
    scoped.scope.name, scoped.scope.version = scope, version
    scoped.spans.extend(spans)
    return message


def as_json(message: ExportTraceServiceRequest) -> dict[str, Any]:
    """Protobuf's JSON mapping, except that ids are in hex and enumerations are numbers."""
    value = MessageToDict(message, use_integers_for_enums=True)
    for span_ in json_spans(value):
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in span_:
                span_[name] = base64.b64decode(span_[name]).hex()
    return value


def json_spans(value: dict[str, Any]) -> Iterable[dict[str, Any]]:
    return (
        one
        for resource in value["resourceSpans"]
        for scope in resource["scopeSpans"]
        for one in scope["spans"]
    )


def encoded(message: ExportTraceServiceRequest, kind: str) -> bytes:
    return message.SerializeToString() if kind == PROTOBUF else json.dumps(as_json(message)).encode()
