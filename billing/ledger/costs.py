"""The cost of each event of a batch: stated by its sender, computed from a price, or unknown."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeGuard
from zoneinfo import ZoneInfo

from billing import money, periods
from billing.events.cost import NO_BASIS, NO_COST, Cost, PriceBasis
from billing.events.price_factors import PriceFactors, less
from billing.events.usage_event import JOB, MAX_DOLLARS, NO_TOKENS, Rejection, Tokens, UsageEvent
from billing.models import CostSource
from billing.prices import price_list
from billing.prices.overrides import Override, PriceOverrides
from products.models import Project

# Plain strings: reading an enumeration's member takes longer, and this code runs once an event.
REPORTED = CostSource.REPORTED.value
COMPUTED = CostSource.COMPUTED.value
UNPRICED = CostSource.UNPRICED.value
_MAX_NANOS = MAX_DOLLARS * money.NANOS_PER_DOLLAR


def find(project: Project, events: Sequence[UsageEvent | Rejection]) -> list[Cost]:
    """The cost of each event. Needs no lock, so call it before taking one."""
    zone = periods.zone(project.time_zone)
    overrides = PriceOverrides(project, {event.model for event in events if _needs_price(event)})
    return [_cost(event, overrides, zone) for event in events]


def _needs_price(event: UsageEvent | Rejection) -> TypeGuard[UsageEvent]:
    return isinstance(event, UsageEvent) and event.kind != JOB and event.stated_nanos is None


def _cost(event: UsageEvent | Rejection, overrides: PriceOverrides, zone: ZoneInfo) -> Cost:
    if isinstance(event, Rejection) or event.kind == JOB:
        return NO_COST
    factors = event.factors.text
    if event.stated_nanos is not None:
        return Cost(event.stated_nanos, REPORTED, PriceBasis(factors) if factors else NO_BASIS)
    day = periods.day_of(event.occurred_at, zone) if overrides else None
    override = overrides.find(event.model, day, event.factors) if day else None
    found = computed(
        event.model, event.tokens, event.occurred_at, event.factors, override, event.already_recorded
    )
    return found or Cost(0, UNPRICED, PriceBasis(factors) if factors else NO_BASIS)


def computed(
    model: str,
    tokens: Tokens,
    at: datetime,
    factors: PriceFactors,
    override: Override | None,
    already_recorded: Tokens = NO_TOKENS,
) -> Cost | None:
    """The cost by the override, else by the price list; None if no price is known."""
    price = price_list.price(
        model,
        tokens,
        at,
        factors=less(factors, override.factor) if override else factors,
        already_recorded=already_recorded,
        rates=override.rates if override else None,
    )
    if price is None:
        return None
    source = override.source if override else price_list.version()
    return Cost(price.nanos, COMPUTED, PriceBasis(factors.text, price.without, source))


def reject_absurd(event: UsageEvent | Rejection, cost: Cost) -> UsageEvent | Rejection:
    """Replace an event by a rejection if its computed cost is more than one event may cost.

    Valid token counts can add up to that; only the event is rejected, not its batch.
    """
    if cost.nanos <= _MAX_NANOS or isinstance(event, Rejection):
        return event
    reason = f"its tokens would cost more than {MAX_DOLLARS:,} dollars at the price of {event.model}"
    return Rejection(event_id=event.event_id, field="model", reason=reason)
