"""The models that a product has used lately, what they cost, and which prices are its own."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from django.db.models import Count, Q, Sum

from billing import clock
from billing.events.price_factors import NO_FACTORS
from billing.events.usage_event import Tokens
from billing.ledger import costs
from billing.models import CostSource, CreditTransaction, PricedWithout, PriceOverride, UnpricedUsage
from billing.prices import quotes
from billing.prices.overrides import PriceOverrides
from billing.prices.price_list import Rates
from products.models import Project

MOST_MODELS = 100
THOUSAND = 1_000


class Period(NamedTuple):
    """A price and the first day on which it applies, or the first day of the quarter if it is older."""

    first_day: date
    rates: Rates
    is_own: bool


@dataclass(frozen=True)
class ModelPrice:
    model: str
    calls: int
    unpriced: int
    without: int
    """Calls that are priced without a reported factor."""
    average: Tokens
    """Of the calls, rounded to whole tokens."""
    thousand_nanos: int | None
    """What a thousand average calls cost at the latest price; None if no price is known."""
    periods: list[Period]
    """The newest first; none if no price is known."""
    listed: quotes.Quote | str
    """On the price list today, or why it is not there."""


@dataclass(frozen=True)
class Prices:
    since: date
    models: list[ModelPrice]
    """By cost, the highest first; those without any price before all others."""
    others: int
    """How many models are not among `models`."""
    own: list[PriceOverride]


class Missing(NamedTuple):
    """Deductions of all months whose cost is not known, or not known whole."""

    unpriced: int
    without: int


def prices(project: Project) -> Prices:
    """For the present quarter."""
    today = clock.today(project)
    since = today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1)
    used = _used(project, since)
    overrides = PriceOverrides(project)
    return Prices(
        since=since,
        models=[_model(row, overrides, since, today) for row in used[:MOST_MODELS]],
        others=max(len(used) - MOST_MODELS, 0),
        own=overrides.rows,
    )


def missing(project: Project) -> Missing:
    unpriced = UnpricedUsage.objects.filter(project=project).aggregate(sum=Sum("transactions", default=0))
    without = PricedWithout.objects.filter(project=project).aggregate(sum=Sum("transactions", default=0))
    return Missing(unpriced["sum"], without["sum"])


class _Used(NamedTuple):
    model: str
    calls: int
    unpriced: int
    without: int
    tokens: Tokens


_COUNTS = ("input", "cache_read", "cache_write", "cache_write_1h", "output")


def _used(project: Project, since: date) -> list[_Used]:
    lines = CreditTransaction.objects.deductions().filter(project=project, billed_on__gte=since)
    rows: Any = lines.values("model").annotate(
        cost=Sum("amount_nanos"),
        calls=Count("pk"),
        unpriced=Count("pk", filter=Q(cost_source=CostSource.UNPRICED)),
        without=Count("pk", filter=~Q(priced_without="")),
        **{field: Sum(f"{field}_tokens") for field in _COUNTS},
    )
    ordered = sorted(rows, key=lambda row: (row["unpriced"] == 0, -row["cost"], row["model"]))
    return [
        _Used(
            *(row["model"], row["calls"], row["unpriced"], row["without"]),
            Tokens(*(row[field] for field in _COUNTS)),
        )
        for row in ordered
    ]


def _model(used: _Used, overrides: PriceOverrides, since: date, today: date) -> ModelPrice:
    average = Tokens(*(round(getattr(used.tokens, field) / used.calls) for field in _COUNTS))
    override = overrides.find(used.model, today)
    cost = costs.computed(used.model, average, _noon(today), NO_FACTORS, override)
    return ModelPrice(
        *(used.model, used.calls, used.unpriced, used.without, average),
        thousand_nanos=cost.nanos * THOUSAND if cost else None,
        periods=_periods(used.model, overrides, since, today),
        listed=quotes.listed(used.model, _noon(today)),
    )


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)


def _periods(model: str, overrides: PriceOverrides, since: date, today: date) -> list[Period]:
    found: list[Period] = []
    for day in sorted({since, *overrides.starts(model, since, today), *_changes(model, since, today)}):
        override = overrides.find(model, day)
        rates = override.rates if override else quotes.rates_at(model, _noon(day))
        if rates and (not found or found[-1].rates != rates):
            found.append(Period(day, rates, bool(override)))
    return found[::-1]


def _changes(model: str, first: date, last: date) -> list[date]:
    """The days on which the price list's price changes, by halving: a price that comes back is missed."""
    if first == last or quotes.rates_at(model, _noon(first)) == quotes.rates_at(model, _noon(last)):
        return []
    if last - first == timedelta(days=1):
        return [last]
    middle = first + (last - first) // 2
    return [*_changes(model, first, middle), *_changes(model, middle, last)]
