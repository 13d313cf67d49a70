"""The usage of a response: its own tokens, and those of other calls that the provider made for it."""

from typing import Any

import msgspec

from billing.events import price_factors
from billing.events.price_factors import PriceFactors
from billing.events.usage_event import Tokens
from billing.sources.json_lines import Record, UnreadableLine, count_of, text_of
from products.printable import printable

_PARTS = {"advisor_message": "advisor", "compaction": "compaction"}
"""Iterations that are billed beside the response's own counts, and their names in event ids."""
_IN_THE_COUNTS = "message"
"""Iterations that the response's own counts include."""


class Part(msgspec.Struct, frozen=True):
    """A call that was made for a response and is billed beside it."""

    name: str
    """`advisor1`, `advisor2`, …: unique in the response."""
    model: str
    tokens: Tokens
    factors: PriceFactors
    warning: str


def tokens_of(usage: Any, field: str = "message.usage") -> tuple[Tokens, str]:
    """The tokens, and a warning if the counts contradict each other. Raises `UnreadableLine`."""
    if not isinstance(usage, dict):
        raise UnreadableLine(f"{field}: must be an object")
    if usage.get("input_tokens") is None or usage.get("output_tokens") is None:
        raise UnreadableLine(f"{field}: has no input_tokens or no output_tokens")
    writes, for_an_hour, warning = _cache_writes(usage, field)
    tokens = Tokens(
        input=count_of(usage, "input_tokens"),
        cache_read=count_of(usage, "cache_read_input_tokens"),
        cache_write=writes,
        cache_write_1h=for_an_hour,
        output=count_of(usage, "output_tokens"),
    )
    return tokens, warning


def factors_of(usage: Any) -> PriceFactors:
    """What the response's price depends on besides its tokens. `tokens_of` has checked it."""
    tools = usage.get("server_tool_use")
    tools = tools if isinstance(tools, dict) else {}
    return price_factors.normal(
        speed=price_factors.word(usage.get("speed")),
        service_tier=price_factors.word(usage.get("service_tier")),
        region=price_factors.word(usage.get("inference_geo")),
        web_searches=count_of(tools, "web_search_requests"),
        web_fetches=count_of(tools, "web_fetch_requests"),
    )


def _factors_of_part(usage: Record, of_response: Record, *, is_same_model: bool) -> PriceFactors:
    """A part is served as its response is, unless it says otherwise; the speed is that of a model."""
    shared = (
        ("service_tier", "inference_geo", "speed") if is_same_model else ("service_tier", "inference_geo")
    )
    return factors_of({**{name: of_response.get(name) for name in shared}, **usage})


def _cache_writes(usage: Record, field: str) -> tuple[int, int, str]:
    """All cache writes, those for an hour, and a warning if the durations exceed the total.

    Gateways that know no total leave it out or write 0: then the durations are all there is. Any other
    total stands, and the durations are cut to it.
    """
    by_duration = usage.get("cache_creation")
    if by_duration is not None and not isinstance(by_duration, dict):
        raise UnreadableLine(f"{field}.cache_creation: must be an object")
    total = count_of(usage, "cache_creation_input_tokens")
    for_an_hour = count_of(by_duration or {}, "ephemeral_1h_input_tokens")
    both = for_an_hour + count_of(by_duration or {}, "ephemeral_5m_input_tokens")
    if both <= total:
        return total, for_an_hour, ""
    if usage.get("cache_creation_input_tokens") is None:
        return both, for_an_hour, ""
    counted = total or both
    warning = (
        f"{field}: {both:,} cache writes by duration exceed {total:,} in total; {counted:,} are recorded"
    )
    return counted, min(for_an_hour, counted), warning


def parts_of(usage: Any, model: str) -> tuple[list[Part], list[str]]:
    """The calls billed beside the response of this model, and why some can't be read."""
    iterations = usage.get("iterations") or []  # `tokens_of` has checked that it is an object
    if not isinstance(iterations, list):
        return [], ["message.usage.iterations: must be a list"]
    parts: list[Part] = []
    problems = []
    for position, iteration in enumerate(iterations):
        try:
            part = _part_of(iteration, f"message.usage.iterations[{position}]", model, usage, parts)
        except UnreadableLine as error:
            problems.append(str(error))
        else:
            parts += [part] if part else []
    return parts, problems


def _part_of(iteration: Any, field: str, model: str, of_response: Record, before: list[Part]) -> Part | None:
    kind = iteration.get("type") if isinstance(iteration, dict) else None
    if kind == _IN_THE_COUNTS:
        return None
    name = _PARTS.get(kind) if isinstance(kind, str) else None
    if not name:
        raise UnreadableLine(f"{field}: is of no known type: {printable(kind)}")
    # An advisor is another model: without its name the tokens are recorded, and reported as unpriced.
    its_model = text_of(iteration, "model") or (model if kind == "compaction" else "")
    tokens, warning = tokens_of(iteration, field)
    if not tokens.total:
        return None
    number = sum(part.name.rstrip("0123456789") == name for part in before) + 1
    factors = _factors_of_part(iteration, of_response, is_same_model=its_model == model)
    return Part(f"{name}{number}", its_model, tokens, factors, warning)
