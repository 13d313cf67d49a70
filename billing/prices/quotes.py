"""What a model costs, for people to read: dollars per million tokens, and what its known factors do. Pure."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from billing.events.price_factors import NO_FACTORS, PriceFactors, from_words
from billing.events.usage_event import Tokens
from billing.prices import factors, model_names, price_list
from billing.prices.model_names import Match
from billing.prices.price_list import Rates

_SAMPLE = 1_000
"""Tokens; few enough that no price for long contexts applies."""


class FactorPrice(NamedTuple):
    """A factor whose price is known: one of the two numbers is given."""

    factor: str
    """As calls report it: `speed=fast`, `webSearches`."""
    multiplier: Decimal | None = None
    """Of the price of all tokens."""
    dollars_each: Decimal | None = None


@dataclass(frozen=True)
class Quote:
    """A model's price on the price list at an instant."""

    listed_as: str
    """The provider and model of the price list."""
    rates: Rates
    factors: tuple[FactorPrice, ...]


def listed(model: str, at: datetime) -> Quote | str:
    """The price list's price of a model as usage reports it, or why there is none."""
    found = model_names.find(model)
    if not isinstance(found, Match):
        return found.reason
    rates = rates_at(model, at)
    if rates is None:
        return "the price list has no price for its tokens"
    return Quote(f"{found.reading.provider}/{found.model.id}", rates, tuple(_factors(model, found, at)))


@lru_cache(maxsize=4096)
def rates_at(model: str, at: datetime) -> Rates | None:
    """The price list's rates of a model, None if it has none for plain input and output."""
    input_rate = _rate(model, at, Tokens(input=_SAMPLE))
    output_rate = _rate(model, at, Tokens(output=_SAMPLE))
    if input_rate is None or output_rate is None:
        return None
    return Rates(
        input=input_rate,
        output=output_rate,
        cache_read=_rate(model, at, Tokens(cache_read=_SAMPLE)),
        cache_write=_rate(model, at, Tokens(cache_write=_SAMPLE)),
        cache_write_1h=_rate(model, at, Tokens(cache_write=_SAMPLE, cache_write_1h=_SAMPLE)),
    )


def _rate(model: str, at: datetime, sample: Tokens) -> Decimal | None:
    nanos = _nanos(model, at, sample)
    return None if nanos is None else Decimal(nanos) / _SAMPLE / 1_000


def _nanos(model: str, at: datetime, tokens: Tokens, reported: PriceFactors = NO_FACTORS) -> int | None:
    """The price of tokens; None if it is not known whole."""
    price = price_list.price(model, tokens, at, factors=reported)
    return None if price is None or price.without else price.nanos


def _factors(model: str, match: Match, at: datetime) -> list[FactorPrice]:
    plain = _nanos(model, at, Tokens(input=_SAMPLE, output=_SAMPLE))
    found = []
    for written in factors.known_words(match, at):
        try:
            reported = from_words(written)
        except ValueError:  # the price list has a name for the standard, too
            continue
        changed = _nanos(model, at, Tokens(input=_SAMPLE, output=_SAMPLE), reported)
        if plain and changed is not None:
            found.append(FactorPrice(written, multiplier=Decimal(changed) / plain))
    fees = factors.known_fees(match, at)
    return found + [FactorPrice(factor, dollars_each=dollars) for factor, dollars in fees.items() if dollars]
