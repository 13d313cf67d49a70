"""Attributes of spans: the names under which the dialects write what is read, and how values are read.

If a span has several names for one thing, the first that is listed counts; of counts, the first above 0.
"""

from collections.abc import Mapping
from typing import Any

from billing.events.usage_event import MAX_TOKENS, EventError
from billing.json_decoding import InvalidJSON, decode
from products.printable import printable

Attributes = Mapping[str, Any]

MODEL = (
    *("gen_ai.response.model", "ai.response.model", "gen_ai.request.model", "ai.model.id"),
    *("llm.model_name", "embedding.model_name", "langfuse.observation.model.name", "mlflow.llm.model"),
)
INPUT = (
    *("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    *("llm.usage.prompt_tokens", "ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens"),
)
OUTPUT = (
    *("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
    *("llm.usage.completion_tokens", "ai.usage.outputTokens", "ai.usage.completionTokens"),
)
CACHE_READ = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache.read_input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.details.cache_read_tokens",
    "gen_ai.usage.details.cache_read_input_tokens",
    "gen_ai.usage.input_cached_tokens",
    "llm.token_count.prompt_details.cache_read",
    "ai.usage.inputTokenDetails.cacheReadTokens",
    "ai.usage.cachedInputTokens",
)
CACHE_WRITE = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache.creation_input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write_input_tokens",
    "gen_ai.usage.details.cache_write_tokens",
    "gen_ai.usage.details.cache_creation_input_tokens",
    "gen_ai.usage.input_cache_creation",
    "llm.token_count.prompt_details.cache_write",
    "ai.usage.inputTokenDetails.cacheWriteTokens",
)
CACHE_WRITE_1H = (
    "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
    "gen_ai.usage.cache_creation.ephemeral_1h_input_tokens",
    "gen_ai.usage.details.ephemeral_1h_input_tokens",
)
CACHES = frozenset({*CACHE_READ, *CACHE_WRITE, *CACHE_WRITE_1H})
TOTAL = (
    *("gen_ai.usage.total_tokens", "llm.token_count.total"),
    *("llm.usage.total_tokens", "ai.usage.totalTokens"),
)
REASONING = ("gen_ai.usage.reasoning_tokens", "thoughts_token_count")
"""Read only where a dialect leaves them out of the output."""
SESSION = ("session.id", "gen_ai.conversation.id", "langfuse.session.id", "mlflow.trace.session")
RESPONSE_ID = ("gen_ai.response.id", "ai.response.id")
LITELLM_CALL_ID = "litellm.call_id"

ATTRIBUTES = frozenset(
    {
        *(*MODEL, *INPUT, *OUTPUT, *CACHE_READ, *CACHE_WRITE, *CACHE_WRITE_1H, *TOTAL, *REASONING),
        *(*SESSION, *RESPONSE_ID, LITELLM_CALL_ID),
    }
)


def first_name(attributes: Attributes, names: tuple[str, ...]) -> str:
    """The first of the names that has a value, "" for none."""
    for name in names:
        value = attributes.get(name)
        if value is not None and value != "":
            return name
    return ""


def text(attributes: Attributes, name: str) -> str:
    """The attribute's text, without the quotes of JSON that MLflow writes; "" for anything else."""
    value = attributes.get(name)
    if not isinstance(value, str):
        return ""
    return unquoted(value) if value[:1] == '"' else value


def unquoted(value: str) -> str:
    try:
        plain = decode(value)
    except InvalidJSON:
        return value
    return plain if isinstance(plain, str) else value


def first_text(attributes: Attributes, names: tuple[str, ...]) -> str:
    """The first text that is there. Python's callbacks write the word None for what is not."""
    for name in names:
        if name in attributes:
            value = text(attributes, name)
            if value not in ("", "None"):
                return value
    return ""


def model(attributes: Attributes) -> str:
    name = first_name(attributes, MODEL)
    if name and not isinstance(attributes[name], str):
        raise EventError(name, f"must be text, not {printable(attributes[name])}")
    return text(attributes, name)


def count(attributes: Attributes, names: tuple[str, ...]) -> int | None:
    """The first count above 0; None if there is none at all."""
    found = None
    for name in names:
        value = attributes.get(name)
        if value is not None and value != "":
            found = whole_number(name, value)
            if found:
                break
    return found


def whole_number(name: str, value: Any) -> int:
    """A count of tokens, which some senders write as text or as a float."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if type(value) is not int or not 0 <= value <= MAX_TOKENS:
        raise EventError(name, f"must be a whole number from 0 to 10¹², not {printable(value)}")
    return value
