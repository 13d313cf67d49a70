"""OpenTelemetry traces as OTLP carries them: the spans of a request, and the event that each becomes.

A span that calls a model becomes a deduction. Its run is the session or conversation that it names, else the
trace; its job is the span directly above it (an agent's turn, say), or the span itself if it has no parent.
The event happened when the span ended: the tokens are counted and charged then, and a log of the same call
has that instant, too. A call without any usage, such as a failed one, becomes a `job` event and costs
nothing.

Instrumentations write spans in dialects of their own. Each module beside this one reads one thing of a span
in all of them.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from billing.events.parsing import read
from billing.events.price_factors import NO_FACTORS
from billing.events.usage_event import (
    CALL_ID_LENGTH,
    DEDUCTION,
    EARLIEST,
    ID_LENGTH,
    JOB,
    LATEST_AHEAD,
    NO_TOKENS,
    TEXT_LENGTH,
    TOKEN_FIELDS,
    EventError,
    Rejection,
    UsageEvent,
)
from billing.sources import Context
from billing.sources.foreign_ids import foreign_id
from billing.sources.otlp import attributes as names
from billing.sources.otlp import claude_code
from billing.sources.otlp.agents import agent_name
from billing.sources.otlp.attributes import Attributes, first_text, text
from billing.sources.otlp.price_factors import factors
from billing.sources.otlp.read_attributes import read_attributes
from billing.sources.otlp.span_kinds import SpanKind, span_kind
from billing.sources.otlp.stated_costs import cost
from billing.sources.otlp.token_counts import tokens
from billing.sources.otlp.unknown_usage import NotUnderstood, unknown_span, unread_call, unread_half
from products.printable import printable

SENDER_PREFIX = "otlp "
"""Precedes an instrumentation's scope in `UsageEvent.sender`."""


def sender_of(scope: InstrumentationScope) -> str:
    return f"{SENDER_PREFIX}{printable(scope.name, TEXT_LENGTH - len(SENDER_PREFIX))}".rstrip()


def scope_of(sender: str) -> str:
    """The scope of the instrumentation that sent an event."""
    return sender.removeprefix(SENDER_PREFIX.rstrip()).lstrip()


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
    session_id: str = ""
    """The session or conversation that a model call names."""
    agent_id: str = ""
    """The job that a model call of Claude Code names, within its session."""
    input_tokens: int | None = None
    """Of a model call: all input, cached or not. None if the span has no counts."""
    output_tokens: int | None = None

    @property
    def event_id(self) -> str:
        return f"{self.trace_id}:{self.span_id}"

    @property
    def run_id(self) -> str:
        """The run of a span that calls a model."""
        return self.session_id or self.trace_id

    @property
    def job_id(self) -> str:
        """The job of a span that calls a model."""
        return self.agent_id or f"{self.trace_id}:{self.parent_id or self.span_id}"


class Found(msgspec.Struct, frozen=True):
    """A span, with the event that records it if it calls a model."""

    span: Span
    event: UsageEvent | None = None


class Origin(msgspec.Struct, frozen=True):
    """Who wrote a group of spans."""

    service: str
    scope: str
    version: str
    sender: str
    resource: str
    """As in `UsageEvent`."""

    @classmethod
    def of(cls, resource: Resource, scope: InstrumentationScope) -> "Origin":
        services = (one.value.string_value for one in resource.attributes if one.key == "service.name")
        sender = sender_of(scope)
        return cls(next(services, ""), scope_of(sender), printable(scope.version), sender, _digest(resource))


def _digest(resource: Resource) -> str:
    attributes = sorted(one.SerializeToString(deterministic=True) for one in resource.attributes)
    return hashlib.sha256(b"".join(attributes)).hexdigest() if attributes else ""


def spans(
    request: ExportTraceServiceRequest, context: Context
) -> Iterator[Found | Rejection | NotUnderstood]:
    """Yield every span of a request, or why it can't be recorded.

    What looks like usage without being understood follows its span, which may still be another's parent.
    """
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            origin = Origin.of(resource.resource, scope.scope)
            for span in scope.spans:
                yield from _found(span, origin, context)


def _found(
    wire: trace_pb2.Span, origin: Origin, context: Context
) -> Iterator[Found | Rejection | NotUnderstood]:
    attributes = read_attributes(wire)
    kind = span_kind(wire.name, attributes)
    try:
        span = _span(wire, kind, attributes, origin, context.now + LATEST_AHEAD)
        event = _event(wire, span, attributes, origin, context) if span.calls_model else None
    except EventError as error:
        event_id = f"{wire.trace_id.hex()[:32]}:{wire.span_id.hex()[:16]}"
        field = "end_time_unix_nano" if error.field == "occurredAt" else error.field
        yield Rejection(event_id=event_id, field=field, reason=error.reason, sender=origin.sender)
        return
    yield Found(span, event)
    not_understood = _not_understood(wire, kind, attributes, origin, event)
    if not_understood:
        yield not_understood


def _not_understood(
    wire: trace_pb2.Span, kind: SpanKind, attributes: Attributes, origin: Origin, event: UsageEvent | None
) -> NotUnderstood | None:
    scope = origin.scope, origin.version
    if kind is SpanKind.UNKNOWN:
        return unknown_span(wire, attributes, scope)
    if event is None:
        return None
    if event.kind == JOB:
        return unread_call(wire, scope)
    return unread_half(wire, attributes, event.tokens, scope)


def _span(
    wire: trace_pb2.Span, kind: SpanKind, attributes: Attributes, origin: Origin, latest: datetime
) -> Span:
    calls_model = kind is SpanKind.MODEL_CALL
    session_id = _session_id(attributes) if calls_model else ""
    names_job = session_id and wire.name == claude_code.LLM_REQUEST
    return Span(
        trace_id=_id("trace_id", wire.trace_id, 16),
        span_id=_id("span_id", wire.span_id, 8),
        parent_id=_id("parent_span_id", wire.parent_span_id, 8) if any(wire.parent_span_id) else "",
        agent_name=agent_name(wire.name, attributes, origin.service),
        started_at=_plausible(at(wire.start_time_unix_nano), latest),
        finished_at=_plausible(at(wire.end_time_unix_nano), latest),
        failed=wire.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        calls_model=calls_model,
        session_id=session_id,
        agent_id=foreign_id(claude_code.job_id(attributes), ID_LENGTH) if names_job else "",
    )


def _session_id(attributes: Attributes) -> str:
    session = first_text(attributes, names.SESSION)
    return foreign_id(session, ID_LENGTH) if session else ""


def _id(field: str, raw: bytes, length: int) -> str:
    if len(raw) != length or not any(raw):
        raise EventError(field, f"must be {length} bytes, not all of them 0")
    return raw.hex()


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(nanos: int) -> datetime | None:
    """Cut to microseconds; None for 0, which means unknown."""
    return _EPOCH + timedelta(microseconds=nanos // 1000) if nanos else None


def _plausible(instant: datetime | None, latest: datetime) -> datetime | None:
    """The instant, or None if no clock can have shown it."""
    return instant if instant and EARLIEST <= instant <= latest else None


def _event(
    wire: trace_pb2.Span, span: Span, attributes: Attributes, origin: Origin, context: Context
) -> UsageEvent:
    counts = tokens(wire.name, origin.scope, attributes)
    dollars = cost(attributes, counts)
    fields: dict[str, Any] = {
        "kind": JOB,
        "occurredAt": span.finished_at or at(wire.end_time_unix_nano or wire.start_time_unix_nano),
        "runId": span.run_id,
        "jobId": span.job_id,
    }
    call_ids: tuple[str, ...] = ()
    gateway_id = ""
    if counts is not None or dollars is not None:
        fields["kind"] = DEDUCTION
        fields["eventId"] = span.event_id
        fields["model"] = names.model(attributes)
        fields["costDollars"] = dollars
        fields.update(zip(TOKEN_FIELDS, msgspec.structs.astuple(counts or NO_TOKENS), strict=True))
        call_ids, gateway_id = _call_ids(wire.name, attributes)
    is_call = fields["kind"] == DEDUCTION
    return msgspec.structs.replace(
        read(fields, now=context.now, credits_per_dollar=context.credits_per_dollar),
        call_ids=call_ids,
        gateway_id=gateway_id,
        sender=origin.sender,
        run_is_trace=not span.session_id,
        call_started_at=span.started_at if is_call else None,
        resource=origin.resource if is_call else "",
        is_agents_own=is_call and bool(span.agent_id),
        factors=factors(attributes, counts or NO_TOKENS) if is_call else NO_FACTORS,
    )


def _call_ids(name: str, attributes: Attributes) -> tuple[tuple[str, ...], str]:
    """The ids that the call has in other reports, too, and the one of them that a gateway gave."""
    response_id = first_text(attributes, names.RESPONSE_ID)
    if not response_id and name == claude_code.LLM_REQUEST:
        response_id = text(attributes, claude_code.REQUEST_ID)
    response_id = response_id and foreign_id(response_id, CALL_ID_LENGTH)
    gateway_id = text(attributes, names.LITELLM_CALL_ID) if names.LITELLM_CALL_ID in attributes else ""
    if not gateway_id:
        return ((response_id,) if response_id else ()), ""
    gateway_id = foreign_id(gateway_id, CALL_ID_LENGTH)
    return tuple(dict.fromkeys(one for one in (response_id, gateway_id) if one)), gateway_id
