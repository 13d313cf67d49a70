"""Book the costs that are missing: of unpriced deductions, and of those priced without a factor."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from billing.events.cost import Cost
from billing.ledger import corrections, costs, repricing
from billing.ledger.corrections import Decision, Unpriced
from billing.ledger.repricing import Incomplete, Repriced
from billing.prices.overrides import Override, PriceOverrides
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
        cost = _cost_by(project, given or {})
        for decision in corrections.add_missing_costs(project, _as_price(cost), dry_run=dry_run):
            receipt.add(decision)
        for result in repricing.complete_prices(project, _cost_by(project, {}), dry_run=dry_run):
            receipt.add_repriced(result)
    return receipt


_CostBy = Callable[[Unpriced | Incomplete], Cost | None]


def _cost_by(project: Project, given: Mapping[str, Rates]) -> _CostBy:
    overrides = PriceOverrides(project)

    def cost(deduction: Unpriced | Incomplete) -> Cost | None:
        model, factors = deduction.model, deduction.factors
        if model in given:
            override: Override | None = Override(given[model], "given")
        else:
            override = overrides.find(model, deduction.billed_on, factors)
        return costs.computed(model, deduction.tokens, deduction.occurred_at, factors, override)

    return cost


def _as_price(cost_by: _CostBy) -> corrections.Pricing:
    def price(deduction: Unpriced) -> Price | None:
        cost = cost_by(deduction)
        return Price(cost.nanos, cost.basis.without) if cost else None

    return price
