"""Book the costs that are missing: of unpriced deductions, and of those priced without a factor."""

from collections import Counter
from collections.abc import Iterable, Mapping

from billing.events.cost import Cost
from billing.events.price_factors import less
from billing.ledger import corrections, costs, repricing
from billing.ledger.corrections import Decision, Unpriced
from billing.ledger.repricing import Incomplete, Repriced
from billing.prices import price_list
from billing.prices.overrides import PriceOverrides
from billing.prices.price_list import Price, Rates
from products.models import Project


class Receipt:
    """By model: the number and sum of the costs that were added, and what stays as it is, and why."""

    def __init__(self) -> None:
        self.priced: Counter[str] = Counter()
        self.nanos: Counter[str] = Counter()
        self.unpriced: Counter[tuple[str, str]] = Counter()
        self.completed: Counter[str] = Counter()
        self.changed_nanos: Counter[str] = Counter()
        self.incomplete: Counter[tuple[str, str]] = Counter()

    def add(self, decision: Decision) -> None:
        model = decision.deduction.model
        if decision.nanos is None:
            self.unpriced[model, decision.obstacle] += 1
        else:
            self.priced[model] += 1
            self.nanos[model] += decision.nanos

    def add_repriced(self, result: Repriced) -> None:
        model = result.deduction.model
        if result.cost is None:
            self.incomplete[model, result.obstacle] += 1
        else:
            self.completed[model] += 1
            self.changed_nanos[model] += result.cost.nanos - result.deduction.nanos


def book(
    projects: Iterable[Project], given: Mapping[str, Rates] | None = None, *, dry_run: bool = False
) -> Receipt:
    """Book what can be priced by now; a dry run books nothing, and its receipt says what would be booked.

    Prices that are `given` by model come first, then the product's overrides, then the price list.
    """
    receipt = Receipt()
    for project in projects:
        price = _price_by(project, given or {})
        for decision in corrections.add_missing_costs(project, price, dry_run=dry_run):
            receipt.add(decision)
        for result in repricing.complete_prices(project, _complete_by(project), dry_run=dry_run):
            receipt.add_repriced(result)
    return receipt


def _price_by(project: Project, given: Mapping[str, Rates]) -> corrections.Pricing:
    overrides = PriceOverrides(project)

    def price(deduction: Unpriced) -> Price | None:
        model, factors = deduction.model, deduction.factors
        rates = given.get(model)
        override = overrides.find(model, deduction.billed_on, factors)
        if override and not rates:
            rates, factors = override.rates, less(factors, override.factor)
        return price_list.price(model, deduction.tokens, deduction.occurred_at, factors=factors, rates=rates)

    return price


def _complete_by(project: Project) -> repricing.Pricing:
    """Prices with all factors."""
    overrides = PriceOverrides(project)

    def cost(deduction: Incomplete) -> Cost | None:
        override = overrides.find(deduction.model, deduction.billed_on, deduction.factors)
        return costs.computed(
            deduction.model, deduction.tokens, deduction.occurred_at, deduction.factors, override
        )

    return cost
