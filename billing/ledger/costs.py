"""What each event of a batch costs: stated by its sender, computed by a price, or not known."""

from collections.abc import Sequence
from typing import TypeGuard
from zoneinfo import ZoneInfo

from billing import money, periods
from billing.events.usage_event import JOB, MAX_DOLLARS, Rejection, UsageEvent
from billing.models import CostSource
from billing.prices import price_list
from billing.prices.overrides import OwnPrices
from products.models import Project

Cost = tuple[int, str]
"""Nano-dollars, and where they come from (`CostSource`)."""

REPORTED = CostSource.REPORTED.value  # plain strings: faster than members of an enumeration
COMPUTED = CostSource.COMPUTED.value
UNPRICED = CostSource.UNPRICED.value
_MAX_NANOS = MAX_DOLLARS * money.NANOS_PER_DOLLAR


def find(project: Project, events: Sequence[UsageEvent | Rejection]) -> list[Cost]:
    """One cost each. It needs no lock, and nobody should wait for it."""
    zone = periods.zone(project.time_zone)
    own = OwnPrices(project, {event.model for event in events if _is_to_be_priced(event)})
    return [_cost(event, own, zone) for event in events]


def _is_to_be_priced(event: UsageEvent | Rejection) -> TypeGuard[UsageEvent]:
    return isinstance(event, UsageEvent) and event.kind != JOB and event.stated_nanos is None


def _cost(event: UsageEvent | Rejection, own: OwnPrices, zone: ZoneInfo) -> Cost:
    if isinstance(event, Rejection) or event.kind == JOB:
        return 0, ""
    if event.stated_nanos is not None:
        return event.stated_nanos, REPORTED
    rates = own.rates(event.model, periods.day_of(event.occurred_at, zone)) if own else None
    nanos = price_list.cost_nanos(event.model, event.tokens, event.occurred_at, event.already_recorded, rates)
    if nanos is None:
        return 0, UNPRICED
    return nanos, COMPUTED


def unless_absurd(event: UsageEvent | Rejection, cost: Cost) -> UsageEvent | Rejection:
    """Sound token counts can cost more than any one event may; it alone is refused, not its batch."""
    if cost[0] <= _MAX_NANOS or isinstance(event, Rejection):
        return event
    reason = f"its tokens cost more than {MAX_DOLLARS:,} dollars by the price of {event.model}"
    return Rejection(event_id=event.event_id, field="model", reason=reason)
