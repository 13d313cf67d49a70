"""Price again what was priced without a factor, once the factor is known.

The ledger takes the deduction back and books it anew at its full price, as it does when another report of the
same call stands. What a sender sees under its own id stays one deduction.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from django.db import transaction

from billing import money
from billing.events import price_factors
from billing.events.cost import Cost
from billing.events.price_factors import PriceFactors
from billing.events.usage_event import MAX_DOLLARS, Tokens
from billing.ledger import recording
from billing.ledger.calls import store
from billing.models import CreditTransaction
from products.models import Project

PAGE = 1_000


class Incomplete(NamedTuple):
    """A deduction that stands and is priced without a factor."""

    pk: int
    event_id: str
    model: str
    occurred_at: datetime
    billed_on: date
    nanos: int
    priced_without: str
    factors: PriceFactors
    tokens: Tokens


Pricing = Callable[[Incomplete], Cost | None]
"""Returns None if no price is known any more."""


@dataclass(frozen=True)
class Repriced:
    """The result for a deduction: its new cost, or why it stays as it is."""

    deduction: Incomplete
    cost: Cost | None
    obstacle: str = ""


def complete_prices(project: Project, price: Pricing, *, dry_run: bool = False) -> Iterator[Repriced]:
    """Price every deduction again that lacks a factor, `PAGE` in a transaction.

    Yields a result for each, once its page is committed. A dry run decides and records nothing.
    """
    last = 0
    while True:
        with transaction.atomic():
            project = recording.lock(project)
            page = _page(project, last)
            results = [_result(deduction, price(deduction)) for deduction in page]
            known = {result.deduction.event_id: result.cost for result in results if result.cost is not None}
            if known and not dry_run:
                book_anew(project, known)
        yield from results
        if len(page) < PAGE:
            return
        last = page[-1].pk


def book_anew(project: Project, costs: Mapping[str, Cost]) -> None:
    """Take deductions back and book them at these costs, by the event id of the transaction that stands."""
    reports = store.booked_by(project, costs)
    sent = {line: reports[line].event_id if line in reports else line for line in costs}
    recording.record(project, [], repriced={sent[line]: cost for line, cost in costs.items()})


def _page(project: Project, after: int) -> list[Incomplete]:
    rows = CreditTransaction.objects.deductions().filter(project=project, pk__gt=after)
    found = (
        rows.exclude(priced_without="")
        .order_by("pk")
        .values_list(
            *("pk", "event_id", "model", "occurred_at", "billed_on", "amount_nanos", "priced_without"),
            "price_factors",
            *("input_tokens", "cache_read_tokens", "cache_write_tokens"),
            *("cache_write_1h_tokens", "output_tokens"),
        )
    )
    return [
        Incomplete._make([*row[:7], price_factors.from_text(row[7]), Tokens(*row[8:])])
        for row in found[:PAGE]
    ]


def _result(deduction: Incomplete, cost: Cost | None) -> Repriced:
    if cost is None:
        return Repriced(deduction, None, "no price is known any more")
    if cost.basis.without:
        return Repriced(deduction, None, f"what {cost.basis.without} costs is not known")
    if cost.nanos > MAX_DOLLARS * money.NANOS_PER_DOLLAR:
        return Repriced(deduction, None, f"it would cost more than {MAX_DOLLARS:,} dollars")
    return Repriced(deduction, cost)
