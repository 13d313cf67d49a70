"""Fields of LiteLLM's records, and what they say of a call's price besides its tokens."""

from decimal import Decimal
from typing import Any

from billing.events import price_factors
from billing.events.price_factors import PriceFactors, word
from billing.events.usage_event import MAX_TOKENS, EventError, Tokens
from billing.json_decoding import InvalidJSON, decode
from products.printable import printable

Record = dict[str, Any]


def count_in(record: Record, field: str) -> int:
    value = record.get(field)
    if value is None:
        return 0
    # Comparing takes a number of any size; arithmetic overflows, and `int` writes all its digits out.
    if isinstance(value, Decimal) and 0 <= value <= MAX_TOKENS and value == value.to_integral_value():
        value = int(value)
    if type(value) is not int or not 0 <= value <= MAX_TOKENS:
        raise EventError(field, f"must be a whole number from 0 to 10¹², not {printable(value)}")
    return value


def lesser_count_in(record: Record, field: str) -> int:
    """A count without which the call can be recorded: 0 if it can't be read."""
    try:
        return count_in(record, field)
    except EventError:
        return 0


def object_in(record: Record, field: str) -> Record:
    """A field that holds an object, or {}. The proxy writes some of them as JSON within text."""
    value = record.get(field)
    if isinstance(value, str):
        try:
            value = decode(value)
        except InvalidJSON:
            return {}
    return value if isinstance(value, dict) else {}


def factors(record: Record, metadata: Record, tokens: Tokens) -> PriceFactors:
    """What matters where LiteLLM states no cost: its own costs have most of this in them.

    What can't be read of it is left out, because refusing the record would lose the whole call.
    """
    usage = object_in(metadata, "usage_object")
    tools = object_in(usage, "server_tool_use")
    asked = object_in(record, "model_parameters")
    spoken = lesser_count_in(object_in(usage, "prompt_tokens_details"), "audio_tokens")
    answered = lesser_count_in(object_in(usage, "completion_tokens_details"), "audio_tokens")
    return price_factors.normal(
        speed=word(usage.get("speed")) or word(asked.get("speed")),
        service_tier=word(usage.get("service_tier")) or word(asked.get("service_tier")),
        region=word(usage.get("inference_geo")) or word(asked.get("inference_geo")),
        web_searches=lesser_count_in(tools, "web_search_requests"),
        web_fetches=lesser_count_in(tools, "web_fetch_requests"),
        audio_input_tokens=min(spoken, tokens.input),
        audio_output_tokens=min(answered, tokens.output),
        provider=_provider(record),
    )


def _provider(record: Record) -> str:
    """Where the call went, unless the name of a protocol stands for any gateway."""
    provider = word(record.get("custom_llm_provider"))
    return "" if provider in ("openai", "anthropic", "custom_openai", "openai_like") else provider
