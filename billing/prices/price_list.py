"""Compute the cost of a model call, from price overrides or from the dated price lists of genai-prices. Pure.

The library's input tokens include cached ones. A token may cost less than a nano-dollar, so the sum is
rounded, once and half to even, not the price of each token.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial

from billing import money
from billing.events.usage_event import NO_TOKENS, Tokens
from billing.prices import model_names
from billing.prices.model_names import Match


@dataclass(frozen=True)
class Rates:
    """A model's prices in dollars per million tokens."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    """None: as uncached input."""
    cache_write: Decimal | None = None
    """None: as uncached input."""
    cache_write_1h: Decimal | None = None
    """None: as other cache writes."""

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
    """The cost of a call in nano-dollars: by `rates` if given, else by the price list as of `at`.

    None if no price is known. With `already_recorded`, the price of the whole call (`tokens` and
    `already_recorded` together) less the price of `already_recorded`.
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
    if found.reading.free:
        return 0
    if found.reading.speed or found.reading.batch:
        return None  # the listed price is another one: fast calls cost up to six times as much, batches half
    from genai_prices import Usage

    usage = Usage(
        input_tokens=tokens.all_input,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write,
        cache_write_1h_tokens=tokens.cache_write_1h,
        output_tokens=tokens.output,
    )
    try:
        price = found.model.calc_price(usage, found.provider, genai_request_timestamp=at).total_price
    except (LookupError, ValueError):  # the model is known, but has no price for these counts
        return None
    return money.nanos_from_dollars(price)


def _model(name: str) -> Match | None:
    """The listed model for a name as senders write it; None if the list has none."""
    found = model_names.find(name)
    return found if isinstance(found, Match) else None
