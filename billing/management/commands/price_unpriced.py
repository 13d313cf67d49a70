from argparse import ArgumentTypeError
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from billing import money
from billing.ledger import missing_costs
from billing.ledger.missing_costs import Receipt
from billing.models import MAX_RATE
from billing.prices.price_list import Rates
from products.command_line import projects_with_id
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
        projects = projects_with_id(options["project"])
        receipt = missing_costs.book(projects, dict(options["price"]), dry_run=options["dry_run"])
        for line in _lines(receipt):
            self.stdout.write(line)
        if options["dry_run"]:
            self.stdout.write("Dry run: nothing was recorded. These costs would have been added.")


def _of_factors(receipt: Receipt) -> list[str]:
    """Lines about what was priced without a factor; none if nothing was."""
    if not receipt.completed and not receipt.incomplete:
        return []
    total = money.change(receipt.changed_nanos.total())
    return [
        f"{'completed':<11}{receipt.completed.total():>12,}   {total}",
        f"{'incomplete':<11}{receipt.incomplete.total():>12,}",
        *(
            f"  {_named(model)}: {count:,} completed, {money.change(receipt.changed_nanos[model])}"
            for model, count in receipt.completed.most_common()
        ),
        *(
            f"  {_named(model)}: {count:,} not completed, {obstacle}"
            for (model, obstacle), count in receipt.incomplete.most_common()
        ),
    ]


def _lines(receipt: Receipt) -> list[str]:
    priced = [
        f"  {_named(model)}: {count:,} priced, {money.exact(receipt.nanos[model])}"
        for model, count in receipt.priced.most_common()
    ]
    unpriced = [
        f"  {_named(model)}: {count:,} not priced, {obstacle}"
        for (model, obstacle), count in receipt.unpriced.most_common()
    ]
    total = money.exact(receipt.nanos.total())
    return [
        f"{'priced':<11}{receipt.priced.total():>12,}   {total}",
        f"{'unpriced':<11}{receipt.unpriced.total():>12,}",
        *priced,
        *unpriced,
        *_of_factors(receipt),
    ]


def _named(model: str) -> str:
    return printable(model) or "(no model given)"
