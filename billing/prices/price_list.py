"""Model + tokens + instant → cost, by a product's own rates or the dated price lists of genai-prices.

The library counts cached tokens inside its input; a price per token below a nano-dollar is summed
before it is rounded, once, half to even.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any

from billing import money
from billing.events.usage_event import NO_TOKENS, Tokens

# Gateways name their provider before a slash; the library knows some by other names.
_PROVIDERS = {"xai": "x-ai", "gemini": "google", "vertex_ai": "google", "azure_ai": "azure", "bedrock": "aws"}


@dataclass(frozen=True)
class Rates:
    """What a model's tokens cost, in dollars per million."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    """None: the same as uncached input."""
    cache_write: Decimal | None = None
    """None: the same as uncached input."""
    cache_write_1h: Decimal | None = None
    """None: the same as other writes."""

    def nanos(self, tokens: Tokens) -> int:
        read = self.input if self.cache_read is None else self.cache_read
        write = self.input if self.cache_write is None else self.cache_write
        write_1h = write if self.cache_write_1h is None else self.cache_write_1h
        dollars = (
            tokens.input * self.input
            + tokens.cache_read * read
            + (tokens.cache_write - tokens.cache_write_1h) * write
            + tokens.cache_write_1h * write_1h
            + tokens.output * self.output
        ) / 1_000_000
        return money.nanos_from_dollars(dollars)


def cost_nanos(
    model: str,
    tokens: Tokens,
    at: datetime,
    already_recorded: Tokens = NO_TOKENS,
    rates: Rates | None = None,
) -> int | None:
    """What the call cost in nano-dollars, by `rates` if given, else by the list's price at `at`.

    None where no price is known. With `already_recorded`, the price of the whole call less that of the
    counts booked already.
    """
    price: Callable[[Tokens], int | None] = rates.nanos if rates else partial(_listed, model, at)
    if already_recorded == NO_TOKENS:
        return price(tokens)
    whole = Tokens(
        input=tokens.input + already_recorded.input,
        cache_read=tokens.cache_read + already_recorded.cache_read,
        cache_write=tokens.cache_write + already_recorded.cache_write,
        cache_write_1h=tokens.cache_write_1h + already_recorded.cache_write_1h,
        output=tokens.output + already_recorded.output,
    )
    total, before = price(whole), price(already_recorded)
    return None if total is None or before is None else max(total - before, 0)


def _listed(model: str, at: datetime, tokens: Tokens) -> int | None:
    found = _model(model)
    if found is None:
        return None
    from genai_prices import Usage

    provider, info = found
    usage = Usage(
        input_tokens=tokens.all_input,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write,
        cache_write_1h_tokens=tokens.cache_write_1h,
        output_tokens=tokens.output,
    )
    try:
        price = info.calc_price(usage, provider, genai_request_timestamp=at).total_price
    except (LookupError, ValueError):  # the model is known, a price for these counts is not
        return None
    return money.nanos_from_dollars(price)


@lru_cache(maxsize=2048)
def _model(name: str) -> tuple[Any, Any] | None:
    """The provider and model that the library knows under a name as senders write it, or None."""
    # Imported here: it takes half a second, which only the recording of unpriced usage should pay.
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    for provider_id, reference in _readings(name):
        try:
            return snapshot.find_provider_model(reference, None, provider_id, None)
        except LookupError:
            continue
    return None


def _readings(name: str) -> list[tuple[str | None, str]]:
    """(provider, model) pairs to try, the most exact first."""
    bare = re.sub(r"@.*$", "", name)
    readings: list[tuple[str | None, str]] = []
    if "/" in bare:
        prefix, _, rest = bare.partition("/")
        readings += [(_PROVIDERS.get(prefix, prefix), rest), (None, bare.rpartition("/")[2])]
    readings.append((None, bare))
    return readings
