"""Missing costs, booked: beside an unpriced deduction a second line with its cost.

The deduction itself never changes. The second line has no tokens, for they are counted already; it
has the same instant, day and job, and the id `<event id>+priced`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from billing import money, signals
from billing.db import bulk
from billing.events.run_state import KnownRun
from billing.events.usage_event import DEDUCTION, MAX_DOLLARS, Tokens
from billing.ledger import recording
from billing.ledger.unit_of_work import AgentTypes
from billing.models import CostSource, CreditTransaction
from billing.rollups import updates
from products.models import Project

SUFFIX = "+priced"
PAGE = 1_000

Price = Callable[["Unpriced"], int | None]
"""Nano-dollars; None where the price is not known here either."""


class Unpriced(NamedTuple):
    """An unpriced deduction, with the run and agent type that its cost is to be counted for."""

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


@dataclass(frozen=True)
class Decision:
    """What becomes of an unpriced deduction: its cost in nano-dollars, or why it stays unpriced."""

    deduction: Unpriced
    nanos: int | None
    obstacle: str = ""


def book_missing(project: Project, price: Price, *, dry_run: bool = False) -> Iterator[Decision]:
    """Price every unpriced deduction of a project and book what was missing, a page a transaction.

    Yields a decision for each, once its page is committed; a dry run decides and books nothing.
    """
    last = 0
    while True:
        with transaction.atomic():
            project = recording.lock(project)
            page = _page(project, last)
            decisions = _decide(project, page, price)
            if not dry_run:
                _book(project, [one for one in decisions if one.nanos is not None])
        yield from decisions
        if len(page) < PAGE:
            return
        last = page[-1].pk


def _page(project: Project, after: int) -> list[Unpriced]:
    rows = CreditTransaction.objects.unpriced().filter(project=project, pk__gt=after).order_by("pk")
    found = rows.values_list(
        *("pk", "event_id", "model", "occurred_at", "billed_on", "job_id", "job__run_id"),
        *("job__agent_type__slug", "job__status"),
        *(
            "input_tokens",
            "cache_read_tokens",
            "cache_write_tokens",
            "cache_write_1h_tokens",
            "output_tokens",
        ),
    )
    return [Unpriced._make([*row[:9], Tokens(*row[9:])]) for row in found[:PAGE]]


def _decide(project: Project, page: list[Unpriced], price: Price) -> list[Decision]:
    wanted = [(one.event_id + SUFFIX,) for one in page]
    taken = bulk.find(CreditTransaction, project.pk, ("event_id",), wanted, ("event_id",))
    told = {event_id for (event_id,) in taken}
    return [_decision(one, price(one), told) for one in page]


def _decision(deduction: Unpriced, nanos: int | None, told: set[str]) -> Decision:
    if nanos is None:
        return Decision(deduction, None, "no price is known")
    if nanos > MAX_DOLLARS * money.NANOS_PER_DOLLAR:
        return Decision(deduction, None, f"it would cost more than {MAX_DOLLARS:,} dollars")
    if deduction.event_id + SUFFIX in told:
        return Decision(deduction, None, f"the id {deduction.event_id}{SUFFIX} is a sender's already")
    return Decision(deduction, nanos)


def _book(project: Project, decisions: list[Decision]) -> None:
    if not decisions:
        return
    now = timezone.now()
    changes = updates.Changes()
    runs: dict[int, KnownRun] = {}
    rows = []
    for decision in sorted(decisions, key=lambda one: one.deduction.event_id):
        one, nanos = decision.deduction, decision.nanos
        assert nanos is not None
        rows.append(
            (
                *(project.pk, one.job_id, one.event_id + SUFFIX, DEDUCTION, nanos),
                *(CostSource.COMPUTED.value, one.model, 0, 0, 0, 0, 0),
                *(one.occurred_at, one.billed_on, now, one.pk),
            )
        )
        run = runs.setdefault(one.run_id, _numbered_run(one.run_id))
        changes.correct(
            updates.Correction(
                run=run,
                agent_type=one.agent_type,
                job_status=one.job_status,
                day=one.billed_on,
                nanos=nanos,
                model=one.model,
                input_tokens=one.tokens.all_input,
                output_tokens=one.tokens.output,
            )
        )
    bulk.insert(CreditTransaction, (*recording.COLUMNS, "corrects_id"), rows)
    updates.add(project, AgentTypes(project, ()), changes)
    project.renew()
    signals.announce(project, changes.months_of_spend())


def _numbered_run(pk: int) -> KnownRun:
    """The rollups ask nothing but its number."""
    run = KnownRun("")
    run.pk = pk
    return run
