"""The notice about usage without a known price, which must not look free."""

from dataclasses import dataclass

from aicost.formatting import html, text
from aicost.queries import MonthSummary, UnpricedModel

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


def notice(summary: MonthSummary, models: list[UnpricedModel]) -> Notice | None:
    """None if every price of the month is known. `models` are the month's unpriced models."""
    if not summary.unpriced:
        return None
    more = len(models) - LISTED
    return Notice(
        text=_text(summary.unpriced),
        models=[_row(model) for model in models[:LISTED]],
        more=f"and {text.count(more)} more" if more > 0 else "",
    )


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
