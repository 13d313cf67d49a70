"""The dollars that a span states for its call."""

from decimal import Decimal
from typing import Any

from billing.events.usage_event import EventError, Tokens
from billing.json_decoding import InvalidJSON, decode
from billing.sources.otlp.attributes import Attributes
from billing.sources.otlp.usage_objects import LONGEST
from products.printable import printable

COST = (
    *("gen_ai.usage.cost", "gen_ai.cost.total_cost", "litellm.cost.total"),
    *("operation.cost", "llm.cost.total"),
)
COST_PARTS = (
    ("gen_ai.usage.input_cost", "gen_ai.usage.output_cost"),
    ("gen_ai.cost.input_cost", "gen_ai.cost.output_cost"),
    ("llm.cost.prompt", "llm.cost.completion"),
)
LANGFUSE = "langfuse.observation.cost_details"
ATTRIBUTES = frozenset({*COST, *(name for parts in COST_PARTS for name in parts), LANGFUSE})


def cost(attributes: Attributes, tokens: Tokens | None) -> Decimal | None:
    """The dollars that the span states, or None. Senders write 0 for a model whose price they don't know."""
    if ATTRIBUTES.isdisjoint(attributes):  # as in most spans
        return None
    dollars = _stated(attributes)
    return dollars if dollars or (tokens is not None and not tokens.total) else None


def _stated(attributes: Attributes) -> Decimal | None:
    wholes = [dollars_of(name, attributes[name]) for name in COST if attributes.get(name) not in (None, "")]
    if wholes:
        return next((dollars for dollars in wholes if dollars), wholes[0])
    for parts in COST_PARTS:
        stated = [dollars_of(name, attributes[name]) for name in parts if name in attributes]
        if stated:
            return sum(stated, Decimal(0))
    return _langfuse(attributes.get(LANGFUSE))


def _langfuse(details: Any) -> Decimal | None:
    """The total of a JSON object, else the sum of its parts."""
    if not isinstance(details, str) or len(details) > LONGEST:
        return None
    try:
        value = decode(details)
    except InvalidJSON:
        return None
    if not isinstance(value, dict) or not value:
        return None
    parts = {"total": value["total"]} if "total" in value else value
    return sum((dollars_of(f"{LANGFUSE}.{name}", part) for name, part in parts.items()), Decimal(0))


def dollars_of(name: str, value: Any) -> Decimal:
    """A float in its shortest decimal form, which is what the sender meant."""
    if type(value) not in (int, float, Decimal):
        raise EventError(printable(name), f"must be a number, not {printable(value)}")
    dollars = value if isinstance(value, Decimal) else Decimal(repr(value))
    if not dollars.is_finite() or dollars < 0:
        raise EventError(printable(name), f"must be a number from 0, not {printable(value)}")
    return dollars
