"""What a span's attributes say about a model call, under the names of several conventions.

These are OpenTelemetry's GenAI conventions (older names too, and OpenLIT's additions) and OpenInference's.
If a span has several names for one thing, the first listed counts.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from billing.events.usage_event import MAX_TOKENS, EventError, Tokens
from products.agent_types import slug_of
from products.printable import printable

Attributes = Mapping[str, Any]

OPERATION = "gen_ai.operation.name"
REQUEST_TYPE = "llm.request.type"  # OpenLLMetry, before it named operations
SPAN_KIND = "openinference.span.kind"

# Agents and workflows (`invoke_agent`, `create_agent`, `invoke_workflow`; OpenInference's AGENT and
# CHAIN) repeat the sums of the calls below them: only spans that call a model themselves are billed.
MODEL_CALLS = {
    OPERATION: {"chat", "generate_content", "text_completion", "embeddings", "call_llm"},
    SPAN_KIND: {"LLM", "EMBEDDING"},
    REQUEST_TYPE: {"chat", "completion", "embedding"},
}

MODEL = ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "embedding.model_name")
INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion")
CACHE_READ = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache.read_input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
)
CACHE_WRITE = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache.creation_input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write_input_tokens",
    "llm.token_count.prompt_details.cache_write",
)
OPENLIT_COST = "gen_ai.usage.cost"
COST = (OPENLIT_COST, "llm.cost.total")
COST_PARTS = (
    ("gen_ai.usage.input_cost", "gen_ai.usage.output_cost"),
    ("llm.cost.prompt", "llm.cost.completion"),
)
AGENT = "gen_ai.agent.name"
OPENINFERENCE_AGENT = "agent.name"

READ = frozenset(
    {
        *MODEL_CALLS,
        *(*MODEL, *INPUT, *OUTPUT, *CACHE_READ, *CACHE_WRITE),
        *(*COST, *COST_PARTS[0], *COST_PARTS[1]),
        *(AGENT, OPENINFERENCE_AGENT),
    }
)
"""All names that are read. The others may hold whole conversations and are never stored."""


def calls_model(attributes: Attributes) -> bool:
    """Whether the span is a model call, by the first convention that it uses."""
    for name, calls in MODEL_CALLS.items():
        value = attributes.get(name)
        if value is not None:
            return value in calls
    return any(name.startswith("llm.token_count.") for name in attributes)


def agent_name(attributes: Attributes) -> str:
    """The agent that the span names, "" for none."""
    name = AGENT
    # In other spans `agent.name` may be a monitoring agent.
    if AGENT not in attributes and SPAN_KIND in attributes:
        name = OPENINFERENCE_AGENT
    value = attributes.get(name, "")
    if not isinstance(value, str) or "\0" in value:
        raise EventError(name, f"must be text without NUL, not {printable(value)}")
    return slug_of(value)


def model(attributes: Attributes) -> str:
    name = _first(attributes, MODEL)
    value = attributes[name] if name else ""
    if not isinstance(value, str):
        raise EventError(name, f"must be text, not {printable(value)}")
    return value


def tokens(attributes: Attributes) -> Tokens | None:
    """The span's token counts, or None if it has none. Its input count includes cache reads and writes."""
    names = [_first(attributes, one) for one in (INPUT, CACHE_READ, CACHE_WRITE, OUTPUT)]
    if not any(names):
        return None
    whole, read, write, output = (_count(attributes, name) for name in names)
    # Less than its parts: this SDK passes on Anthropic's counts, whose input excludes the caches.
    uncached = whole - read - write if whole >= read + write else whole
    return Tokens(input=uncached, cache_read=read, cache_write=write, output=output)


def cost(attributes: Attributes) -> Decimal | None:
    """The dollars that the span states, or None."""
    whole = _first(attributes, COST)
    if whole:
        dollars = _dollars(attributes, whole)
        # OpenLIT writes 0 for a model whose price it doesn't know.
        return dollars if dollars or whole != OPENLIT_COST else None
    for parts in COST_PARTS:
        stated = [_dollars(attributes, name) for name in parts if name in attributes]
        if stated:
            return sum(stated, Decimal(0))
    return None


def _first(attributes: Attributes, names: tuple[str, ...]) -> str:
    return next((name for name in names if attributes.get(name) not in (None, "")), "")


def _count(attributes: Attributes, name: str) -> int:
    value = attributes[name] if name else 0
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if type(value) is not int or not 0 <= value <= MAX_TOKENS:
        raise EventError(name, f"must be a whole number from 0 to 10¹², not {printable(value)}")
    return value


def _dollars(attributes: Attributes, name: str) -> Decimal:
    """A float in its shortest decimal form, which is what the sender meant."""
    value = attributes[name]
    if type(value) not in (int, float):
        raise EventError(name, f"must be a number, not {printable(value)}")
    dollars = Decimal(repr(value))
    if not dollars.is_finite() or dollars < 0:
        raise EventError(name, f"must be a number from 0, not {printable(value)}")
    return dollars
