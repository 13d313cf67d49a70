"""What the attributes of a span say of a model call, in the words of several conventions.

OpenTelemetry's GenAI conventions (their older names too, and OpenLIT's additions), and
OpenInference's. Where a span has several names of one thing, the first listed counts.
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
# CHAIN) repeat the sums of the calls below them: only what calls a model itself is billed.
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
"""All names that are looked at. The others may hold whole conversations and are never kept."""


def calls_model(attributes: Attributes) -> bool:
    """Whether the span is a call of a model, by the first convention that it speaks."""
    for name, calls in MODEL_CALLS.items():
        told = attributes.get(name)
        if told is not None:
            return told in calls
    return any(name.startswith("llm.token_count.") for name in attributes)


def agent_name(attributes: Attributes) -> str:
    """The agent that the span names, "" for none."""
    name = AGENT
    # Elsewhere `agent.name` may be a monitoring agent's.
    if AGENT not in attributes and SPAN_KIND in attributes:
        name = OPENINFERENCE_AGENT
    told = attributes.get(name, "")
    if not isinstance(told, str) or "\0" in told:
        raise EventError(name, f"must be text without NUL, not {printable(told)}")
    return slug_of(told)


def model(attributes: Attributes) -> str:
    name = _first(attributes, MODEL)
    told = attributes[name] if name else ""
    if not isinstance(told, str):
        raise EventError(name, f"must be text, not {printable(told)}")
    return told


def tokens(attributes: Attributes) -> Tokens | None:
    """None where the span tells none at all. Input is told with what came from and went into caches."""
    names = [_first(attributes, one) for one in (INPUT, CACHE_READ, CACHE_WRITE, OUTPUT)]
    if not any(names):
        return None
    whole, read, write, output = (_count(attributes, name) for name in names)
    # Less than its parts: this SDK passes on Anthropic's counts, whose input leaves the caches out.
    uncached = whole - read - write if whole >= read + write else whole
    return Tokens(input=uncached, cache_read=read, cache_write=write, output=output)


def cost(attributes: Attributes) -> Decimal | None:
    """The dollars that the span states, None for none."""
    whole = _first(attributes, COST)
    if whole:
        dollars = _dollars(attributes, whole)
        # OpenLIT writes 0 for a model whose price it does not know.
        return dollars if dollars or whole != OPENLIT_COST else None
    for parts in COST_PARTS:
        stated = [_dollars(attributes, name) for name in parts if name in attributes]
        if stated:
            return sum(stated, Decimal(0))
    return None


def _first(attributes: Attributes, names: tuple[str, ...]) -> str:
    return next((name for name in names if attributes.get(name) not in (None, "")), "")


def _count(attributes: Attributes, name: str) -> int:
    told = attributes[name] if name else 0
    if isinstance(told, float) and told.is_integer():
        told = int(told)
    if isinstance(told, str) and told.isascii() and told.isdigit() and len(told) < 20:
        told = int(told)
    if type(told) is not int or not 0 <= told <= MAX_TOKENS:
        raise EventError(name, f"must be a whole number from 0 to 10¹², not {printable(told)}")
    return told


def _dollars(attributes: Attributes, name: str) -> Decimal:
    """A float in its shortest decimal form, which is what its sender meant."""
    told = attributes[name]
    if type(told) not in (int, float):
        raise EventError(name, f"must be a number, not {printable(told)}")
    dollars = Decimal(repr(told))
    if not dollars.is_finite() or dollars < 0:
        raise EventError(name, f"must be a number from 0, not {printable(told)}")
    return dollars
