"""Spans and log records that look like usage but can't be read, or only in part: the sender is warned."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1 import trace_pb2

from billing.events.usage_event import Tokens
from billing.sources.otlp import attributes as known
from billing.sources.otlp import price_factors, span_kinds, usage_objects
from billing.sources.otlp.attributes import MODEL, Attributes, count, first_name, first_text, text
from products.printable import printable


class NotUnderstood(msgspec.Struct, frozen=True):
    """A span or log record with token counts that can't be recorded as a model call, or not all of them."""

    reason: str
    scope: str
    """The instrumentation, with its `version`."""
    version: str
    detail: str
    """The attribute that shows it."""
    is_recorded: bool = False
    """Whether the call is recorded, without these counts."""

    @property
    def kind(self) -> str:
        """What the span shares with others, in words for their sender."""
        who = " ".join(part for part in (self.scope or "(no scope)", self.version) if part)
        return f"{who}: {self.reason}"


_COUNT = re.compile(
    r"usage.*tokens?|token_?count|token[._]?usage|(input|output|prompt|completion|total)_tokens$", re.I
)
_SUMS = frozenset({"mlflow.trace.tokenUsage"})
"""Of a whole trace, which its calls have already."""
_LIMITS = re.compile(r"request|limit|max|per_second", re.I)


_LONGEST_KEY = 200


def looks_like_usage(key: str) -> bool:
    """Whether an attribute of this name may hold token counts."""
    return len(key) <= _LONGEST_KEY and _looks_like_usage(key)


@lru_cache(maxsize=4096)
def _looks_like_usage(key: str) -> bool:
    if key in usage_objects.ATTRIBUTES:
        return True
    return bool(_COUNT.search(key)) and key not in _SUMS and not _LIMITS.search(key)


def unread_call(wire: trace_pb2.Span, scope: tuple[str, str]) -> NotUnderstood | None:
    """A model call whose token counts have names that are not known."""
    key = _usage_in(wire)
    return NotUnderstood("unknown token counts", *scope, printable(key)) if key else None


HALF_KNOWN = "unknown token counts beside known ones"
_READ = known.ATTRIBUTES | price_factors.ATTRIBUTES
_INPUT = re.compile(r"input|prompt", re.I)
_OUTPUT = re.compile(r"output|completion|candidate|generat|respon|answer", re.I)


def unread_half(
    wire: trace_pb2.Span, attributes: Attributes, tokens: Tokens, scope: tuple[str, str]
) -> NotUnderstood | None:
    """A recorded call of which the input or the output has a name that is not known."""
    names = [name for name, number in ((_INPUT, tokens.all_input), (_OUTPUT, tokens.output)) if not number]
    if not names:
        return None
    key = next((key for key in _usage_keys(wire) if _may_hold(key, names, attributes)), "")
    if not key and (count(attributes, known.TOTAL) or 0) > tokens.total:
        key = first_name(attributes, known.TOTAL)
    if not key:
        return None
    return NotUnderstood(f"{HALF_KNOWN}: {printable(key)}", *scope, printable(key), is_recorded=True)


def _may_hold(key: str, names: list[re.Pattern[str]], attributes: Attributes) -> bool:
    """Whether an attribute that is not read may hold counts of these names. An object may hold any."""
    if key in usage_objects.ATTRIBUTES:
        return usage_objects.counts_of(attributes) is None
    return key not in _READ and any(name.search(key) for name in names)


def unread_record(record: LogRecord, scope: tuple[str, str]) -> NotUnderstood | None:
    """A log record with token counts that is of no kind that is read."""
    key = _usage_in(record)
    if not key:
        return None
    name = record.event_name or record.body.string_value[:_LONGEST_KEY] or "without a name"
    return NotUnderstood(f"log record {printable(name)} is not read", *scope, printable(key))


def unknown_span(
    wire: trace_pb2.Span, attributes: Attributes, scope: tuple[str, str]
) -> NotUnderstood | None:
    """A span with token counts, but no attribute that says what it is."""
    key = _usage_in(wire)
    return NotUnderstood(*_reason(attributes, key, scope)) if key else None


def _reason(attributes: Attributes, key: str, scope: tuple[str, str]) -> tuple[str, str, str, str]:
    for name in span_kinds.ATTRIBUTES:
        value = text(attributes, name)
        if value and name != span_kinds.CLAUDE_CODE_TYPE:
            reason = _INCOMPLETE.get(value, f"unknown {name} {printable(value)}")
            return reason, *scope, f"{name}: {printable(value)}"
    reason = "no operation name" if first_text(attributes, MODEL) else "no model"
    return reason, *scope, printable(key)


_INCOMPLETE = {
    "llm_call": "Gemini CLI's spans leave out cached and thinking tokens",
}


def _usage_in(wire: trace_pb2.Span | LogRecord) -> str:
    """The first attribute that holds token counts, "" for none."""
    return next(_usage_keys(wire), "")


def _usage_keys(wire: trace_pb2.Span | LogRecord) -> Iterator[str]:
    return (one.key for one in wire.attributes if looks_like_usage(one.key) and _is_positive(one.value))


def _is_positive(value: AnyValue) -> bool:
    kind = value.WhichOneof("value")
    plain: Any = getattr(value, kind) if kind else None
    if isinstance(plain, str):
        return any(digit in plain for digit in "123456789")
    return isinstance(plain, int | float) and plain > 0
