"""The notice about usage without a known price, which must not look free, or without a known factor."""

from collections.abc import Sized
from dataclasses import dataclass

from aicost.formatting import html, text
from aicost.queries import FactorUsage, MonthSummary, UnpricedModel

LISTED = 6


@dataclass(frozen=True)
class ModelRow:
    name: str
    named: bool
    count: str
    tokens: str


@dataclass(frozen=True)
class Notice:
    text: str
    models: list[ModelRow]
    more: str
    """How many models the list leaves out; "" for none."""
    without: list["FactorRow"]
    """Models that are priced without a reported factor."""
    without_more: str


@dataclass(frozen=True)
class FactorRow:
    name: str
    factors: str
    """In words: `service tier priority`."""
    count: str


def notice(summary: MonthSummary, models: list[UnpricedModel], without: list[FactorUsage]) -> Notice | None:
    """None if every price of the month is known and complete. `models` are the month's unpriced models,
    `without` those that are priced without a reported factor."""
    if not summary.unpriced and not without:
        return None
    return Notice(
        text=_text(summary.unpriced) if summary.unpriced else "",
        models=[_row(model) for model in models[:LISTED]],
        more=_more(models),
        without=[_factor_row(usage) for usage in without[:LISTED]],
        without_more=_more(without),
    )


def _more(rows: Sized) -> str:
    more = len(rows) - LISTED
    return f"and {text.count(more)} more" if more > 0 else ""


WORDS = {
    "serviceTier": "service tier",
    "webSearches": "web searches",
    "webFetches": "web fetches",
    "audioInputTokens": "audio input",
    "audioOutputTokens": "audio output",
}
"""How people read the names of price factors that are not plain words."""


def _factor_row(usage: FactorUsage) -> FactorRow:
    words = ", ".join(map(factor_words, usage.priced_without.split(", ")))
    return FactorRow(usage.model or "no model given", words, text.count(usage.transactions))


def factor_words(factor: str) -> str:
    """A factor as people read it: `service tier priority`."""
    name, _, value = factor.partition("=")
    words = WORDS.get(name, name)
    return f"{words} {value}" if value and value != name else words  # a batch is one or not


def _text(number: int) -> str:
    if number == 1:
        return (
            "1 deduction has no known price. The figures here include its tokens and job, but not its cost."
        )
    return (
        f"{text.count(number)} deductions have no known price. "
        "The figures here include their tokens and jobs, but not their cost."
    )


def _row(model: UnpricedModel) -> ModelRow:
    return ModelRow(
        name=model.model or "no model given",
        named=bool(model.model),
        count=text.count(model.transactions),
        tokens=html.tokens(model.input_tokens + model.output_tokens),
    )
