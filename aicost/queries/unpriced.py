"""What is missing from a month's figures: deductions for which no price is known, by model."""

from dataclasses import dataclass
from datetime import date

from aicost.queries.months import this_month
from billing.models import UnpricedUsage
from products.models import Project


@dataclass(frozen=True)
class UnpricedModel:
    model: str
    """As usage told it; "" where it told none."""
    transactions: int
    input_tokens: int
    output_tokens: int


def unpriced_models(project: Project, month: date | None = None) -> list[UnpricedModel]:
    """The most frequent first, then by name."""
    rows = UnpricedUsage.objects.filter(project=project, month=month or this_month(project))
    found = rows.order_by("-transactions", "model")
    return [
        UnpricedModel(*row)
        for row in found.values_list("model", "transactions", "input_tokens", "output_tokens")
    ]
