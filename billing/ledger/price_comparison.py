"""What the ledger's latest calls would cost by the price lists that are installed now. Changes nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db.models import Exists, Q

from billing import clock, money, periods
from billing.events import price_factors
from billing.events.price_factors import NO_FACTORS, PriceFactors
from billing.events.usage_event import Tokens
from billing.models import CostSource, CreditTransaction, corrections
from billing.prices import price_list
from billing.prices.litellm_list import LiteLLMList
from products.models import Project

DAYS = 30
_CHUNK = 2_000


@dataclass
class ModelComparison:
    """Of a model's calls whose cost was computed by the price list, or is not known. In nano-dollars."""

    model: str
    calls: int = 0
    booked: int = 0
    now: int = 0
    """By the price list that is installed; what it can't price costs 0, as in the ledger."""
    listed_of_compared: int = 0
    """By the same list: of the calls that `other` prices."""
    other: int = 0
    """By LiteLLM's list: of calls without price factors, which it doesn't know."""
    compared: int = 0


class _Line(NamedTuple):
    model: str
    occurred_at: datetime
    nanos: int
    factors: PriceFactors
    tokens: Tokens


def compare(projects: Iterable[Project], other: LiteLLMList | None) -> list[ModelComparison]:
    """By model, for the last `DAYS` days of each project's billing zone; in the order of the names."""
    found: dict[str, ModelComparison] = {}
    for project in projects:
        for line in _lines(project):
            _add(found.setdefault(line.model, ModelComparison(line.model)), line, other)
    return [found[model] for model in sorted(found)]


def _lines(project: Project) -> Iterator[_Line]:
    """Deductions that were priced by the price list, or not at all."""
    days = periods.days_ending(clock.today(project), DAYS)
    computed = Q(cost_source=CostSource.COMPUTED) & ~Q(price_source__startswith="override")
    rows = (
        CreditTransaction.objects.deductions()
        .filter(computed | Q(cost_source=CostSource.UNPRICED), project=project, billed_on__gte=days[0])
        .filter(~Exists(corrections()))
    )
    columns = rows.order_by("pk").values_list(
        *("model", "occurred_at", "amount_nanos", "price_factors"),
        *(
            "input_tokens",
            "cache_read_tokens",
            "cache_write_tokens",
            "cache_write_1h_tokens",
            "output_tokens",
        ),
    )
    for model, at, nanos, factors, *counts in columns.iterator(chunk_size=_CHUNK):
        yield _Line(model, at, nanos, price_factors.from_text(factors), Tokens(*counts))


def _add(found: ModelComparison, line: _Line, other: LiteLLMList | None) -> None:
    price = price_list.price(line.model, line.tokens, line.occurred_at, factors=line.factors)
    found.calls += 1
    found.booked += line.nanos
    found.now += price.nanos if price else 0
    dollars = other.dollars(line.model, line.tokens) if other and line.factors == NO_FACTORS else None
    if price and dollars is not None:
        found.compared += 1
        found.listed_of_compared += price.nanos
        found.other += money.nanos_from_dollars(dollars)
