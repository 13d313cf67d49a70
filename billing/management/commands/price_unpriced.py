from argparse import ArgumentTypeError
from collections import Counter
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from billing import money
from billing.events.cost import Cost
from billing.ledger import corrections, costs, repricing
from billing.ledger.corrections import Decision, Pricing, Unpriced
from billing.ledger.repricing import Incomplete, Repriced
from billing.models import MAX_RATE
from billing.prices import price_list
from billing.prices.overrides import PriceOverrides
from billing.prices.price_list import Price, Rates
from products.command_line import projects_with_id
from products.models import Project
from products.printable import printable

UNIT = "dollars per million tokens"


def price_argument(text: str) -> tuple[str, Rates]:
    """`MODEL=INPUT/OUTPUT[/CACHE_READ[/CACHE_WRITE[/CACHE_WRITE_1H]]]`, dollars per million tokens."""
    model, _, prices = text.rpartition("=")
    rates = prices.split("/")
    if not model or not 2 <= len(rates) <= 5:
        raise ArgumentTypeError(
            f"{printable(text)}: write MODEL=INPUT/OUTPUT, in {UNIT}; "
            "optionally followed by /CACHE_READ/CACHE_WRITE/CACHE_WRITE_1H"
        )
    return model, Rates(*(_rate(rate) for rate in rates))


def _rate(text: str) -> Decimal:
    try:
        rate = Decimal(text)
    except InvalidOperation:
        raise ArgumentTypeError(f"{printable(text)}: a price is a number of {UNIT}") from None
    if not rate.is_finite() or not 0 <= rate <= MAX_RATE:
        raise ArgumentTypeError(
            f"{printable(text)}: a price is from 0 to {MAX_RATE:,} dollars per million tokens"
        )
    return rate


class Command(BaseCommand):
    help = (
        "Add the missing cost of usage that was recorded as unpriced, with a price given here, a price "
        "override of the product, or the price list, which an upgrade of genai-prices updates. Then complete "
        "the costs that lack a price factor which has become known. Each change is a line of its own; no "
        "existing line changes. Running it again changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", type=int, metavar="ID", help="this product only")
        parser.add_argument(
            "--price",
            type=price_argument,
            action="append",
            default=[],
            metavar="MODEL=INPUT/OUTPUT",
            help=f"{UNIT}; optionally followed by /CACHE_READ/CACHE_WRITE/CACHE_WRITE_1H; repeatable",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="record nothing, report what would be added"
        )

    def handle(self, **options: Any) -> None:
        given = dict(options["price"])
        receipt = Receipt()
        for project in projects_with_id(options["project"]):
            price = price_by(project, given)
            for decision in corrections.add_missing_costs(project, price, dry_run=options["dry_run"]):
                receipt.add(decision)
            for result in repricing.complete_prices(
                project, complete_by(project), dry_run=options["dry_run"]
            ):
                receipt.add_repriced(result)
        for line in receipt.lines():
            self.stdout.write(line)
        if options["dry_run"]:
            self.stdout.write("Dry run: nothing was recorded. These costs would have been added.")


def price_by(project: Project, given: dict[str, Rates]) -> Pricing:
    """Prices given on the command line come first, then the project's overrides, then the price list."""
    overrides = PriceOverrides(project)

    def price(deduction: Unpriced) -> Price | None:
        model = deduction.model
        override = overrides.find(model, deduction.billed_on)
        rates = given.get(model) or (override.rates if override else None)
        return price_list.price(
            model, deduction.tokens, deduction.occurred_at, factors=deduction.factors, rates=rates
        )

    return price


def complete_by(project: Project) -> repricing.Pricing:
    """Prices with all factors, by the project's overrides, else the price list."""
    overrides = PriceOverrides(project)

    def cost(deduction: Incomplete) -> Cost | None:
        override = overrides.find(deduction.model, deduction.billed_on)
        return costs.computed(
            deduction.model, deduction.tokens, deduction.occurred_at, deduction.factors, override
        )

    return cost


class Receipt:
    """By model: the number and sum of the costs that were added, and what stays unpriced, and why."""

    def __init__(self) -> None:
        self.priced: Counter[str] = Counter()
        self.nanos: Counter[str] = Counter()
        self.unpriced: Counter[tuple[str, str]] = Counter()
        self.completed: Counter[str] = Counter()
        self.changed_nanos: Counter[str] = Counter()
        self.incomplete: Counter[tuple[str, str]] = Counter()

    def add(self, decision: Decision) -> None:
        model = decision.deduction.model or "(no model given)"
        if decision.nanos is None:
            self.unpriced[model, decision.obstacle] += 1
        else:
            self.priced[model] += 1
            self.nanos[model] += decision.nanos

    def add_repriced(self, result: Repriced) -> None:
        model = result.deduction.model or "(no model given)"
        if result.cost is None:
            self.incomplete[model, result.obstacle] += 1
        else:
            self.completed[model] += 1
            self.changed_nanos[model] += result.cost.nanos - result.deduction.nanos

    def _of_factors(self) -> list[str]:
        """Lines about what was priced without a factor; none if nothing was."""
        if not self.completed and not self.incomplete:
            return []
        total = _signed_dollars(self.changed_nanos.total())
        return [
            f"{'completed':<11}{self.completed.total():>12,}   {total}",
            f"{'incomplete':<11}{self.incomplete.total():>12,}",
            *(
                f"  {printable(model)}: {count:,} completed, {_signed_dollars(self.changed_nanos[model])}"
                for model, count in self.completed.most_common()
            ),
            *(
                f"  {printable(model)}: {count:,} not completed, {obstacle}"
                for (model, obstacle), count in self.incomplete.most_common()
            ),
        ]

    def lines(self) -> list[str]:
        priced = [
            f"  {printable(model)}: {count:,} priced, "
            f"${money.plain(money.decimal_dollars(self.nanos[model]))}"
            for model, count in self.priced.most_common()
        ]
        unpriced = [
            f"  {printable(model)}: {count:,} not priced, {obstacle}"
            for (model, obstacle), count in self.unpriced.most_common()
        ]
        total = money.plain(money.decimal_dollars(self.nanos.total()))
        return [
            f"{'priced':<11}{self.priced.total():>12,}   ${total}",
            f"{'unpriced':<11}{self.unpriced.total():>12,}",
            *priced,
            *unpriced,
            *self._of_factors(),
        ]


def _signed_dollars(nanos: int) -> str:
    sign = "-" if nanos < 0 else "+"
    return f"{sign}${money.plain(money.decimal_dollars(abs(nanos)))}"
