"""The model calls that spans of a request become."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from billing.events.usage_event import DEDUCTION, UsageEvent
from billing.ledger.traces import Trace
from billing.money import dollars
from billing.sources import Context, otlp
from tests.conftest import NOW
from tests.otlp import request


class Call(NamedTuple):
    """A model call as the ledger gets it. `input` is uncached."""

    model: str
    input: int
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    output: int = 0
    dollars: float | None = None
    agent: str = ""


def call_of(event: UsageEvent, agent: str) -> Call:
    stated = None if event.stated_nanos is None else float(dollars(event.stated_nanos))
    return Call(event.model, *msgspec.structs.astuple(event.tokens), stated, agent)


def read(message: Any, now: datetime = NOW) -> list[Any]:
    return list(otlp.spans(message, Context(now=now, credits_per_dollar=100)))


def events(items: Iterable[Any]) -> list[UsageEvent]:
    return [item.event for item in items if isinstance(item, otlp.Found) and item.event]


def only(*spans: Any, **origin: str) -> Any:
    """The only usage event of some spans."""
    [event] = events(read(request(*spans, **origin)))
    return event


def calls(items: list[Any]) -> list[Call]:
    found = [item for item in items if isinstance(item, otlp.Found)]
    traces = {item.span.trace_id: Trace(other.span for other in found) for item in found}
    return [
        call_of(item.event, traces[item.span.trace_id].agent_of(item.span))
        for item in found
        if item.event and item.event.kind == DEDUCTION
    ]
