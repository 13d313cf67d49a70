"""The notice about usage without a known price, which must not look free, or without a known factor.

It is one line: the page of prices has the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aicost.formatting import text
from aicost.queries import FactorUsage, MonthSummary, UnpricedModel


@dataclass(frozen=True)
class Notice:
    """Each is None if there are none of its kind."""

    unpriced: "Part | None"
    without: "Part | None"


@dataclass(frozen=True)
class Part:
    """The calls of one kind, and the model that most of them used."""

    count: str
    model: str
    """"" if the calls named none."""
    others: str
    """How many further models there are; "" for none."""
    factors: str = ""
    """The factors without a known price, in words."""
    is_one: bool = False


WORDS = {
    "serviceTier": "service tier",
    "webSearches": "web searches",
    "webFetches": "web fetches",
    "audioInputTokens": "audio input",
    "audioOutputTokens": "audio output",
}
"""How people read the names of price factors that are not plain words."""


def notice(summary: MonthSummary, models: list[UnpricedModel], without: list[FactorUsage]) -> Notice | None:
    """None if every price of the month is known and complete. `models` are the month's unpriced models,
    `without` those that are priced without a reported factor."""
    if not summary.unpriced and not without:
        return None
    incomplete = sum(usage.transactions for usage in without)
    factors = ", ".join(map(factor_words, without[0].priced_without.split(", "))) if without else ""
    return Notice(
        unpriced=_part(summary.unpriced, models) if models else None,
        without=_part(incomplete, without, factors) if without else None,
    )


def _part(number: int, rows: Sequence[UnpricedModel | FactorUsage], factors: str = "") -> Part:
    others = len({row.model for row in rows}) - 1
    return Part(
        count=text.plural(number, "call"),
        model=rows[0].model,
        others=f" and {text.plural(others, 'other model')}" if others else "",
        factors=factors,
        is_one=number == 1,
    )


def factor_words(factor: str) -> str:
    """A factor as people read it: `service tier priority`."""
    name, _, value = factor.partition("=")
    words = WORDS.get(name, name)
    return f"{words} {value}" if value and value != name else words  # a batch is one or not
