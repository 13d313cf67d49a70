"""Add the missing costs of unpriced deductions: each gets a second transaction with its cost.

The deduction itself never changes. The correction has no tokens, because the deduction's are counted
already; it has the same instant, day and job, and the id `<event id>+priced`. A part of a call is taken back
and booked anew instead, because the stated cost of the whole call may include it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from billing import money, signals
from billing.db import bulk
from billing.events import price_factors
from billing.events.cost import NO_BASIS, Cost, PriceBasis
from billing.events.price_factors import NO_FACTORS, PriceFactors
from billing.events.run_state import RunState
from billing.events.usage_event import DEDUCTION, MAX_DOLLARS, Tokens
from billing.ledger import recording, repricing
from billing.ledger.calls import store
from billing.ledger.lookup import PRICED
from billing.ledger.unit_of_work import AgentTypes
from billing.models import CostSource, CreditTransaction
from billing.prices.price_list import Price
from billing.rollups import updates
from products.models import Project

PAGE = 1_000

Pricing = Callable[["Unpriced"], Price | None]
"""Returns None if this price list doesn't know the price either."""


class Unpriced(NamedTuple):
    """An unpriced deduction, with the run and agent type that its cost counts for."""

    pk: int
    event_id: str
    model: str
    occurred_at: datetime
    billed_on: date
    job_id: int
    run_id: int
    agent_type: str
    job_status: str
    tokens: Tokens
    factors: PriceFactors = NO_FACTORS


@dataclass(frozen=True)
class Decision:
    """The result for an unpriced deduction: its cost in nano-dollars, or why it stays unpriced."""

    deduction: Unpriced
    nanos: int | None
    obstacle: str = ""


def add_missing_costs(project: Project, price: Pricing, *, dry_run: bool = False) -> Iterator[Decision]:
    """Price every unpriced deduction of a project and record the costs, `PAGE` in a transaction.

    Yields a decision for each deduction, once its page is committed. A dry run decides and records nothing.
    """
    last = 0
    while True:
        with transaction.atomic():
            project = recording.lock(project)
            page = _page(project, last)
            decisions = _decide(project, page, price)
            if not dry_run:
                _record(project, [decision for decision in decisions if decision.nanos is not None])
        yield from decisions
        if len(page) < PAGE:
            return
        last = page[-1].pk


def _page(project: Project, after: int) -> list[Unpriced]:
    rows = CreditTransaction.objects.unpriced().filter(project=project, pk__gt=after).order_by("pk")
    found = rows.values_list(
        *("pk", "event_id", "model", "occurred_at", "billed_on", "job_id", "job__run_id"),
        *("job__agent_type__slug", "job__status", "price_factors"),
        *(
            "input_tokens",
            "cache_read_tokens",
            "cache_write_tokens",
            "cache_write_1h_tokens",
            "output_tokens",
        ),
    )
    return [
        Unpriced._make([*row[:9], Tokens(*row[10:]), price_factors.from_text(row[9])]) for row in found[:PAGE]
    ]


def _decide(project: Project, page: list[Unpriced], price: Pricing) -> list[Decision]:
    wanted = [(deduction.event_id + PRICED,) for deduction in page]
    found = bulk.find(CreditTransaction, project.pk, ("event_id",), wanted, ("event_id",))
    taken = {event_id for (event_id,) in found}
    return [_decision(deduction, price(deduction), taken) for deduction in page]


def _decision(deduction: Unpriced, price: Price | None, taken: set[str]) -> Decision:
    if price is None:
        return Decision(deduction, None, "no price is known")
    if price.without:
        return Decision(deduction, None, f"what {price.without} costs is not known")
    if price.nanos > MAX_DOLLARS * money.NANOS_PER_DOLLAR:
        return Decision(deduction, None, f"it would cost more than {MAX_DOLLARS:,} dollars")
    if deduction.event_id + PRICED in taken:
        reason = f"a sender has already used the id {deduction.event_id}{PRICED}"
        return Decision(deduction, None, reason)
    return Decision(deduction, price.nanos)


def _record(project: Project, decisions: list[Decision]) -> None:
    booked = store.booked_by(project, [decision.deduction.event_id for decision in decisions])
    parts = {line for line, report in booked.items() if report.part}
    of_parts = [decision for decision in decisions if decision.deduction.event_id in parts]
    if of_parts:
        repricing.book_anew(project, {one.deduction.event_id: _cost(one) for one in of_parts})
    _add_lines(project, [one for one in decisions if one.deduction.event_id not in parts])


def _cost(decision: Decision) -> Cost:
    assert decision.nanos is not None
    basis = PriceBasis(decision.deduction.factors.text)
    return Cost(decision.nanos, CostSource.COMPUTED.value, basis)


def _add_lines(project: Project, decisions: list[Decision]) -> None:
    if not decisions:
        return
    now = timezone.now()
    changes = updates.Changes()
    runs: dict[int, RunState] = {}
    rows = []
    for decision in sorted(decisions, key=lambda decision: decision.deduction.event_id):
        deduction, nanos = decision.deduction, decision.nanos
        assert nanos is not None
        rows.append(
            (
                *(project.pk, deduction.job_id, deduction.event_id + PRICED, DEDUCTION, nanos),
                *(CostSource.COMPUTED.value, deduction.model, 0, 0, 0, 0, 0),
                *(deduction.occurred_at, deduction.billed_on, now, *NO_BASIS, deduction.pk),
            )
        )
        run = runs.setdefault(deduction.run_id, _run_with_id(deduction.run_id))
        changes.add_correction(
            updates.Correction(
                run=run,
                agent_type=deduction.agent_type,
                job_status=deduction.job_status,
                day=deduction.billed_on,
                nanos=nanos,
                model=deduction.model,
                input_tokens=deduction.tokens.all_input,
                output_tokens=deduction.tokens.output,
            )
        )
    bulk.insert(CreditTransaction, (*recording.COLUMNS, "corrects_id"), rows)
    updates.add(project, AgentTypes(project, ()), changes)
    project.renew_version()
    signals.announce(project, changes.months_of_spend())


def _run_with_id(pk: int) -> RunState:
    """The rollups need only its id."""
    run = RunState("")
    run.pk = pk
    return run
