"""The notice of usage for which no price is known: never silently free."""

from dataclasses import dataclass

from aicost import queries
from aicost.formatting import html
from aicost.formatting import text as formats
from aicost.queries import MonthSummary, UnpricedModel
from products.models import Project

SHOWN = 6


@dataclass(frozen=True)
class ModelRow:
    name: str
    told: bool
    count: str
    tokens: str


@dataclass(frozen=True)
class Notice:
    text: str
    models: list[ModelRow]
    more: str
    """What the list leaves out."""


def notice(project: Project, summary: MonthSummary) -> Notice | None:
    """None where every price of the month is known, as it mostly is: then nothing is asked for."""
    if not summary.unpriced:
        return None
    found = queries.unpriced_models(project, summary.month)
    more = len(found) - SHOWN
    return Notice(
        text=_text(summary.unpriced),
        models=[_row(one) for one in found[:SHOWN]],
        more=f"and {formats.count(more)} more" if more > 0 else "",
    )


def _text(number: int) -> str:
    if number == 1:
        return "1 deduction has no known price. Its cost is in no figure here; its tokens and job are."
    return (
        f"{formats.count(number)} deductions have no known price. "
        "Their cost is in no figure here; their tokens and jobs are."
    )


def _row(one: UnpricedModel) -> ModelRow:
    return ModelRow(
        name=one.model or "no model told",
        told=bool(one.model),
        count=formats.count(one.transactions),
        tokens=html.tokens(one.input_tokens + one.output_tokens),
    )
