"""The log records of an OTLP request that report model calls, and the event that each becomes.

Claude Code writes one for each request to the API. It states the cost as Claude Code computes it, with fees,
speed and region, and has calls that neither its spans nor its session logs have. Runs and jobs have the ids
that the session logs give them. Other records report no usage.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from billing.events.parsing import read
from billing.events.price_factors import FACTOR_LENGTH
from billing.events.usage_event import CALL_ID_LENGTH, ID_LENGTH, EventError, Rejection, UsageEvent
from billing.sources import Context
from billing.sources.foreign_ids import foreign_id
from billing.sources.json_lines import MAIN
from billing.sources.otlp import at, claude_code, sender_of
from billing.sources.otlp.attributes import Attributes, text, whole_number
from billing.sources.otlp.read_attributes import plain
from billing.sources.otlp.stated_costs import dollars_of
from billing.sources.otlp.unknown_usage import NotUnderstood, unread_record
from products.printable import printable

API_REQUEST = "claude_code.api_request"
COST = "cost_usd"
DURATION = "duration_ms"
_LONGEST = timedelta(hours=1)
"""No request lasts longer."""
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,20})?(e-\d{1,2})?", re.ASCII)
_BUILT_IN = "agent:builtin:"
READ = frozenset(
    {
        *("session.id", "request_id", "event.sequence", "model", COST),
        *("input_tokens", "output_tokens", "cache_read_tokens"),
        *("cache_creation_tokens", "cache_creation_1h_tokens"),
        *("query_source", "agent.name", "agent_id", "speed", DURATION),
    }
)
"""The attributes that are read. Others may hold prompts and answers."""


def events(
    request: ExportLogsServiceRequest, context: Context
) -> Iterator[UsageEvent | Rejection | NotUnderstood]:
    """Yield an event for every record that reports a model call, or why it can't be recorded."""
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                if API_REQUEST in (record.event_name, record.body.string_value):
                    yield _event(record, sender_of(scope.scope), context)
                elif unread := unread_record(record, (scope.scope.name, scope.scope.version)):
                    yield unread


def _event(record: LogRecord, sender: str, context: Context) -> UsageEvent | Rejection:
    attributes = {one.key: plain(one.value) for one in record.attributes if one.key in READ}
    event_id = _event_id(record, attributes)
    request = text(attributes, "request_id")
    try:
        event = read(
            {"eventId": event_id, **_fields(record, attributes)},
            now=context.now,
            credits_per_dollar=context.credits_per_dollar,
        )
    except EventError as error:
        return Rejection(event_id=printable(event_id), field=error.field, reason=error.reason)
    return msgspec.structs.replace(
        event,
        # Without the request's id, the report still keeps who sent it: others may be of the same call.
        call_ids=(foreign_id(request, CALL_ID_LENGTH) if request else event.event_id,),
        sender=sender,
        covers_parts="advisor",
        call_started_at=event.occurred_at - _duration(attributes),
        is_agents_own=bool(event.run_id),
    )


def _event_id(record: LogRecord, attributes: Attributes) -> str:
    """By the request's id. Without one by time and place: sequences begin again when a session is resumed."""
    request = text(attributes, "request_id")
    named = request or f"{text(attributes, 'session.id')}:{attributes.get('event.sequence')}:{_nanos(record)}"
    return foreign_id(f"{API_REQUEST}:{named}", ID_LENGTH)


def _nanos(record: LogRecord) -> int:
    return int(record.time_unix_nano or record.observed_time_unix_nano)


def _fields(record: LogRecord, attributes: Attributes) -> dict[str, Any]:
    writes = _count(attributes, "cache_creation_tokens")
    counts = {
        "inputTokens": _count(attributes, "input_tokens"),
        "cacheReadTokens": _count(attributes, "cache_read_tokens"),
        "cacheWriteTokens": writes,
        "cacheWrite1hTokens": min(_count(attributes, "cache_creation_1h_tokens"), writes),
        "outputTokens": _count(attributes, "output_tokens"),
    }
    session = text(attributes, "session.id")
    return {
        "occurredAt": at(_nanos(record)),
        "runId": foreign_id(session, ID_LENGTH) if session else None,
        "trigger": "manual",
        "jobId": foreign_id(claude_code.job_id(attributes), ID_LENGTH),
        "agentType": _agent_type(attributes),
        "model": text(attributes, "model"),
        "speed": text(attributes, "speed")[:FACTOR_LENGTH],
        "costDollars": _cost(attributes, any(counts.values())),
        **counts,
    }


def _duration(attributes: Attributes) -> timedelta:
    """How long the request took until the record was written; 0 if that is not reported, or impossible."""
    try:
        duration = timedelta(milliseconds=_count(attributes, DURATION))
    except (EventError, OverflowError):
        return timedelta(0)
    return duration if duration <= _LONGEST else timedelta(0)


def _agent_type(attributes: Attributes) -> str:
    if "agent_id" not in attributes:
        return MAIN
    source = text(attributes, "query_source")
    built_in = source.removeprefix(_BUILT_IN) if source.startswith(_BUILT_IN) else ""
    return text(attributes, "agent.name") or built_in


def _count(attributes: Attributes, name: str) -> int:
    value = attributes.get(name)
    return 0 if value is None else whole_number(name, value)


def _cost(attributes: Attributes, has_tokens: bool) -> Decimal | None:
    """The stated dollars. 0 for tokens means that Claude Code knows no price."""
    value = attributes.get(COST)
    if value is None:
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value):  # older versions wrote all values as text
        value = Decimal(value)
    dollars = dollars_of(COST, value)
    return None if has_tokens and not dollars else dollars
