"""What changes the price of a model's tokens: speed, service tier, region, batch; and fees beside the tokens.

The price list knows some factors and takes the others for standard without a word. So the list is asked only
for those that its data hold for the model; `factors.toml` knows more, each row with its source. A factor that
neither knows is named, and the call is priced without it.
"""

import tomllib
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from billing.events.price_factors import PriceFactors, words
from billing.prices.model_names import Match

TABLE = Path(__file__).with_name("factors.toml")

_IN_THE_LIST = {"speed": "speed", "serviceTier": "service_tier", "batch": "processing"}
"""How the price list calls the factors that it knows for some models."""
_COUNTED = ("webSearches", "webFetches", "audioInputTokens", "audioOutputTokens")
_AUDIO = {"audioInputTokens": "input_audio_mtok", "audioOutputTokens": "output_audio_mtok"}
"""How the price list calls the price of audio."""


class Effects(NamedTuple):
    """What the factors of a call do to the price of its tokens."""

    context: dict[str, str]
    """What the price list has to be asked for; it holds prices for it."""
    multiplier: Fraction
    cached_multiplier: Fraction
    """Of the price of cache reads."""
    fees: Decimal
    """Dollars, beside the price of the tokens."""
    audio: tuple[int, int]
    """Input and output tokens that the price list has to price as audio."""
    beside: tuple[int, int]
    """Input and output tokens whose price is in the fees."""
    unknown: tuple[str, ...]
    """The factors whose effect is not known, as `serviceTier=priority`."""

    @property
    def without(self) -> str:
        return ", ".join(self.unknown)


NO_EFFECTS = Effects({}, Fraction(1), Fraction(1), Decimal(0), (0, 0), (0, 0), ())


class Row(NamedTuple):
    """A row of the table."""

    provider: str
    models: tuple[str, ...]
    """Ids of the price list; `*` stands for any characters."""
    factor: str
    values: tuple[str, ...]
    first_day: date
    last_day: date
    multiplier: Fraction
    cached_multiplier: Fraction
    dollars_each: Decimal
    """The fee for each of what the factor counts."""
    source: str
    """The provider's own page."""
    read_on: date


def effects(factors: PriceFactors, match: Match | None, at: datetime) -> Effects:
    """What the factors do at this instant to the price of a model of the list, or of one that it lacks."""
    context: dict[str, str] = {}
    multiplier, cached, unknown = Fraction(1), Fraction(1), []
    for written in words(factors):
        factor, _, value = written.partition("=")
        name = _IN_THE_LIST.get(factor)
        if match and name and _list_holds(match, name, value, at):
            context[name] = value
        elif row := _row(match, factor, value, at):
            multiplier *= row.multiplier
            cached *= row.cached_multiplier
        else:
            unknown.append(written)
    fees = Decimal(0)
    listed, beside = [0, 0], [0, 0]
    for factor, count, place in _counted(factors):
        if match and place is not None and _list_prices(match.model, factor, at):
            listed[place] = count
        elif row := _row(match, factor, "", at):
            fees += row.dollars_each * count
            if place is not None:
                beside[place] = count
        else:
            unknown.append(factor)
    audio = (listed[0], listed[1]), (beside[0], beside[1])
    return Effects(context, multiplier, cached, fees, *audio, tuple(unknown))


def known_words(match: Match, at: datetime) -> list[str]:
    """The factors of a model whose effect on the price of all tokens is known, as `price_factors.words`."""
    rows = (row for row in _in_force(match, at) if row.factor not in _COUNTED)
    found = {f"{row.factor}={value}" for row in rows for value in row.values or (row.factor,)}
    named = {name: factor for factor, name in _IN_THE_LIST.items()}
    for variant in match.model.price_variants or ():
        for name, value in variant.when.items():
            if name in named and len(variant.when) == 1 and _list_holds(match, name, value, at):
                found.add(f"{named[name]}={value}")
    return sorted(found)


def known_fees(match: Match, at: datetime) -> dict[str, Decimal]:
    """Dollars for each of what a factor counts, beside the tokens: web searches and fetches."""
    rows = [row for row in _in_force(match, at) if row.factor in ("webSearches", "webFetches")]
    return {row.factor: row.dollars_each for row in reversed(rows)}


def _in_force(match: Match, at: datetime) -> list[Row]:
    return [
        row
        for row in table()
        if row.provider == match.reading.provider
        and _one_matches(row.models, match.model.id)
        and row.first_day <= at.date() <= row.last_day
    ]


def _counted(factors: PriceFactors) -> Iterator[tuple[str, int, int | None]]:
    """Each factor that counts something, its count, and of audio whether it is input (0) or output (1)."""
    counted = (
        (factors.web_searches, None),
        (factors.web_fetches, None),
        (factors.audio_input_tokens, 0),
        (factors.audio_output_tokens, 1),
    )
    for name, (count, place) in zip(_COUNTED, counted, strict=True):
        if count:
            yield name, count, place


def _list_prices(model: Any, factor: str, at: datetime) -> bool:
    return getattr(model.get_prices(at), _AUDIO[factor], None) is not None


def _list_holds(match: Match, name: str, value: str, at: datetime) -> bool:
    """Whether the list has a price for it. It has none before the day its authors looked, nor for a provider
    whose prices it takes from another one."""
    if not any(match.model is model for model in match.provider.models):
        return False
    return any(
        variant.when == {name: value} and (variant.constraint is None or variant.constraint.active(at))
        for variant in match.model.price_variants or ()
    )


def _row(match: Match | None, factor: str, value: str, at: datetime) -> Row | None:
    if not match:
        return None
    rows = _rows(match.reading.provider, match.model.id, factor, value)
    return next((row for row in rows if row.first_day <= at.date() <= row.last_day), None)


@lru_cache(maxsize=1024)
def _rows(provider: str, model: str, factor: str, value: str) -> tuple[Row, ...]:
    """The rows for a model's factor, the newest first."""
    found = (
        row
        for row in table()
        if (row.provider, row.factor) == (provider, factor)
        and _one_matches(row.models, model)
        and (not row.values or _one_matches(row.values, value))
    )
    return tuple(sorted(found, key=lambda row: row.first_day, reverse=True))


def _one_matches(patterns: Iterable[str], text: str) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)


@lru_cache(maxsize=1)
def table() -> tuple[Row, ...]:
    """The rows of `factors.toml`, in its order."""
    return tuple(map(_read, tomllib.loads(TABLE.read_text(), parse_float=Decimal)["factor"]))


def _read(row: dict[str, Any]) -> Row:
    return Row(
        provider=row["provider"],
        models=tuple(row["models"]),
        factor=row["factor"],
        values=tuple(row.get("values", ())),
        first_day=row.get("first_day", date.min),
        last_day=row.get("last_day", date.max),
        multiplier=Fraction(row.get("multiplier", 1)),
        cached_multiplier=Fraction(row.get("cached_multiplier", row.get("multiplier", 1))),
        dollars_each=Decimal(row.get("dollars_per_thousand", 0)) / 1000
        + Decimal(row.get("dollars_per_million", 0)) / 1_000_000,
        source=row["source"],
        read_on=row["read_on"],
    )
