"""The attributes that are read. The others may hold whole conversations and are never stored."""

from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from billing.sources.otlp import (
    agents,
    attributes,
    claude_code,
    price_factors,
    span_kinds,
    stated_costs,
    usage_objects,
)

READ = frozenset(
    {
        *(*attributes.ATTRIBUTES, *span_kinds.ATTRIBUTES, *usage_objects.ATTRIBUTES),
        *(*agents.ATTRIBUTES, *stated_costs.ATTRIBUTES),
        *(*claude_code.ATTRIBUTES, *price_factors.ATTRIBUTES),
    }
)


def read_attributes(wire: trace_pb2.Span) -> dict[str, Any]:
    return {one.key: plain(one.value) for one in wire.attributes if one.key in READ}


def plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None
