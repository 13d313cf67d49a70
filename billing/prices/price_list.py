"""Compute the cost of a model call, from price overrides or from the dated price lists of genai-prices. Pure.

The library's input tokens include cached ones. A token may cost less than a nano-dollar, so the sum is
rounded, once and half to even, not the price of each token.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from importlib import metadata
from typing import NamedTuple

import msgspec

from billing import money
from billing.events.price_factors import NO_FACTORS, PriceFactors
from billing.events.usage_event import NO_TOKENS, Tokens, combine
from billing.prices import model_names
from billing.prices.factors import NO_EFFECTS, Effects
from billing.prices.factors import effects as price_effects
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

    @property
    def by_class(self) -> tuple[Decimal, Decimal, Decimal, Decimal, Decimal]:
        """Of input, cache reads, cache writes, one-hour cache writes and output, omitted ones filled in."""
        read = self.input if self.cache_read is None else self.cache_read
        write = self.input if self.cache_write is None else self.cache_write
        write_1h = write if self.cache_write_1h is None else self.cache_write_1h
        return self.input, read, write, write_1h, self.output

    def dollars(self, tokens: Tokens) -> Decimal:
        fresh, read, write, write_1h, output = self.by_class
        return (
            tokens.input * fresh
            + tokens.cache_read * read
            + (tokens.cache_write - tokens.cache_write_1h) * write
            + tokens.cache_write_1h * write_1h
            + tokens.output * output
        ) / 1_000_000


class Price(NamedTuple):
    """The cost of a call in nano-dollars, and the factors whose effect is not known and not in it."""

    nanos: int
    without: str = ""


@lru_cache(maxsize=1)
def version() -> str:
    """The name and version of the price list."""
    return f"genai-prices {metadata.version('genai-prices')}"


def price(
    model: str,
    tokens: Tokens,
    at: datetime,
    *,
    factors: PriceFactors = NO_FACTORS,
    already_recorded: Tokens = NO_TOKENS,
    rates: Rates | None = None,
) -> Price | None:
    """What a call costs: by `rates` if given, else by the price list as of `at`; None if no price is known.

    With `already_recorded`, the price of the whole call (`tokens` and `already_recorded` together) less the
    price of `already_recorded`.
    """
    found = model_names.find(model, factors.provider)
    match = found if isinstance(found, Match) else None
    if not rates:
        if not match:
            return None
        if match.reading.free:
            return Price(0)
        factors = _with_the_names(factors, match)
    effects = NO_EFFECTS if factors == NO_FACTORS else price_effects(factors, match, at)
    before: int | None = 0
    if already_recorded != NO_TOKENS:
        tokens = combine(tokens, already_recorded, 1)
        before = _nanos(match, rates, at, effects._replace(audio=(0, 0), beside=(0, 0)), already_recorded)
    whole = _nanos(match, rates, at, effects, tokens)
    if whole is None or before is None:
        return None
    return Price(max(whole - before, 0) + money.nanos_from_dollars(effects.fees), effects.without)


def _with_the_names(factors: PriceFactors, match: Match) -> PriceFactors:
    """The factors, with those that the model's name says."""
    reading = match.reading
    region = "" if match.region_priced or reading.region == "global" else reading.region
    if not (reading.speed or region or reading.batch):
        return factors
    return msgspec.structs.replace(
        factors,
        speed=factors.speed or reading.speed,
        region=factors.region or region,
        batch=factors.batch or reading.batch,
    )


def _without(tokens: Tokens, input_tokens: int, output_tokens: int) -> Tokens:
    if not (input_tokens or output_tokens):
        return tokens
    return msgspec.structs.replace(
        tokens, input=tokens.input - input_tokens, output=tokens.output - output_tokens
    )


def _nanos(
    match: Match | None,
    rates: Rates | None,
    at: datetime,
    effects: Effects,
    tokens: Tokens,
) -> int | None:
    """The price of tokens without fees."""
    tokens = _without(tokens, *effects.beside)
    dollars = _dollars(match, rates, at, effects, tokens)
    if dollars is None:
        return None
    whole = _times(dollars, effects.multiplier)
    if effects.cached_multiplier != effects.multiplier and tokens.cache_read:
        uncached = _dollars(match, rates, at, effects, msgspec.structs.replace(tokens, cache_read=0))
        if uncached is not None:
            whole += _times(dollars - uncached, effects.cached_multiplier - effects.multiplier)
    return money.nanos_from_dollars(whole)


def _times(dollars: Decimal, multiplier: Fraction) -> Decimal:
    return dollars * multiplier.numerator / multiplier.denominator


def _dollars(
    match: Match | None, rates: Rates | None, at: datetime, effects: Effects, tokens: Tokens
) -> Decimal | None:
    """The price of tokens as the list or the rates have it, before multipliers."""
    if not rates:
        assert match
        return _listed(match, at, tokens, effects.audio, effects.context)
    dollars = rates.dollars(tokens)
    if effects.context:  # as the list changes its own price
        assert match
        standard = _listed(match, at, tokens, effects.audio, {})
        changed = _listed(match, at, tokens, effects.audio, effects.context)
        if standard and changed is not None:
            dollars *= changed / standard
    return dollars


def _listed(
    match: Match, at: datetime, tokens: Tokens, audio: tuple[int, int], context: dict[str, str]
) -> Decimal | None:
    """Dollars by the price list."""
    from genai_prices import Usage

    usage = Usage(
        input_tokens=tokens.all_input,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write,
        cache_write_1h_tokens=tokens.cache_write_1h,
        output_tokens=tokens.output,
        # Without counts of audio the library has fewer prices to compute.
        **({"input_audio_tokens": audio[0], "output_audio_tokens": audio[1]} if any(audio) else {}),
    )
    try:
        found: Decimal = match.model.calc_price(
            usage, match.provider, genai_request_timestamp=at, price_context=context or None
        ).total_price
    except (LookupError, ValueError):  # the model is known, but has no price for these counts
        return None
    return found
