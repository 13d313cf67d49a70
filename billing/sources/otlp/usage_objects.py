"""Usage that a span carries as one text: Langfuse's and MLflow's JSON, LiteLLM's Python notation."""

import re
from typing import Any

from billing.events.usage_event import MAX_TOKENS
from billing.json_decoding import InvalidJSON, decode_floats
from billing.sources.otlp.attributes import Attributes
from billing.sources.otlp.counts import Counts

LANGFUSE = "langfuse.observation.usage_details"
MLFLOW = "mlflow.chat.tokenUsage"
LITELLM = "metadata.usage_object"
ATTRIBUTES = (LANGFUSE, MLFLOW, LITELLM)

LONGEST = 10_000
"""Characters of such a text. Real ones have a few hundred."""
_DEEPEST = 4

Numbers = dict[str, int]
"""Counts by the innermost name, which is the same wherever it stands."""

CACHE_READ = (
    *("cached_tokens", "cache_read_input_tokens", "cache_read_tokens", "input_cached_tokens"),
    *("input_cache_read", "cached_input_tokens"),
)
CACHE_WRITE = (
    *("cache_creation_input_tokens", "cache_creation_tokens", "cache_write_tokens"),
    *("input_cache_creation", "cache_write_input_tokens"),
)
CACHE_WRITE_1H = (
    *("ephemeral_1h_input_tokens", "cache_creation_input_tokens_above_1hr"),
    *("input_cache_creation_1h", "cache_creation_ephemeral_1h_input_tokens"),
)


def counts_of(attributes: Attributes) -> Counts | None:
    """What the span's usage object says, or None if it has none that can be read."""
    for name in ATTRIBUTES:
        value = attributes.get(name)
        if isinstance(value, str) and len(value) <= LONGEST:
            numbers = _python_numbers(value) if name == LITELLM else _json_numbers(value)
            counts = _own_names(numbers) if "input" in numbers or "output" in numbers else _api_names(numbers)
            if counts:
                counts.excludes_caches = name == LANGFUSE and _is_exclusive(numbers)
                return counts
    return None


def _is_exclusive(numbers: Numbers) -> bool:
    """Langfuse's own names stand beside each other, and so do those of Anthropic's API."""
    return (
        "input" in numbers
        or {"cache_read_input_tokens", "cache_creation_input_tokens"} & numbers.keys() != set()
    )


def _api_names(numbers: Numbers) -> Counts | None:
    """As the APIs of providers name them."""
    if not numbers.keys() & {"input_tokens", "prompt_tokens", "output_tokens", "completion_tokens"}:
        return None
    return Counts(
        input=_first(numbers, ("prompt_tokens", "input_tokens")),
        output=_first(numbers, ("completion_tokens", "output_tokens")),
        total=numbers.get("total_tokens"),
        cache_read=_first(numbers, CACHE_READ),
        cache_write=_first(numbers, CACHE_WRITE),
        cache_write_1h=_first(numbers, CACHE_WRITE_1H),
    )


def _own_names(numbers: Numbers) -> Counts:
    """As Langfuse names them: what is part of the input or output stands beside the rest of it."""
    caches = {*CACHE_READ, *CACHE_WRITE, *CACHE_WRITE_1H, "input_cache_creation_5m"}
    counts = Counts(
        input=sum(n for name, n in numbers.items() if name.startswith("input") and name not in caches),
        output=sum(n for name, n in numbers.items() if name.startswith("output")),
        total=numbers.get("total"),
        cache_read=_first(numbers, CACHE_READ),
        cache_write=_first(numbers, CACHE_WRITE)
        or numbers.get("input_cache_creation_5m", 0) + numbers.get("input_cache_creation_1h", 0),
        cache_write_1h=_first(numbers, CACHE_WRITE_1H),
    )
    plain = numbers.get("input", 0), numbers.get("output", 0)
    if sum(plain) == counts.total:  # their parts are in them
        counts.input, counts.output = plain
    return counts


def _first(numbers: Numbers, names: tuple[str, ...]) -> int:
    return next((numbers[name] for name in names if numbers.get(name)), 0)


def _json_numbers(value: str) -> Numbers:
    try:
        decoded = decode_floats(value)
    except InvalidJSON:
        return {}
    numbers: Numbers = {}
    _collect(decoded, numbers, _DEEPEST)
    return numbers


def _collect(value: Any, numbers: Numbers, levels: int) -> None:
    if not isinstance(value, dict) or not levels:
        return
    for name, inner in value.items():
        if isinstance(inner, float) and inner.is_integer():
            inner = int(inner)
        if type(inner) is int and 0 <= inner <= MAX_TOKENS:
            numbers.setdefault(name, inner)
        else:
            _collect(inner, numbers, levels - 1)


# Not `ast.literal_eval`: exporters may cut a text anywhere, and no nesting can burden a search. What follows
# the number proves that it is whole.
_PYTHON_NUMBER = re.compile(r"['\"](\w{1,60})['\"]: ?(\d{1,13})(?=[,}])", re.ASCII)


def _python_numbers(value: str) -> Numbers:
    numbers: Numbers = {}
    for name, digits in _PYTHON_NUMBER.findall(value):
        numbers.setdefault(name, int(digits))
    return numbers
