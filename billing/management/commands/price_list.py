from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from billing import money
from billing.ledger import price_comparison
from billing.ledger.price_comparison import DAYS, ModelComparison
from billing.prices import litellm_list, price_list
from products.command_line import projects_with_id
from products.printable import printable

_LEAST = 0.01
"""The difference to LiteLLM's list from which a model is named, as a share."""


class Command(BaseCommand):
    help = (
        "Print the price list that new usage is priced by. With --compare, name the models that the last "
        f"{DAYS} days' usage would now be priced differently for: by the list that is installed, and by "
        "LiteLLM's public list where the package litellm is installed. Changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--compare", action="store_true", help="compare with what is in the ledger")
        parser.add_argument("--project", type=int, metavar="ID", help="this product only")

    def handle(self, **options: Any) -> None:
        self.stdout.write(f"New usage is priced by {price_list.version()}.")
        if not options["compare"]:
            return
        other = litellm_list.installed()
        found = price_comparison.compare(projects_with_id(options["project"]), other)
        for line in _by_this_list(found):
            self.stdout.write(line)
        if other is None:
            self.stdout.write("The package litellm is not installed, so its list is not compared.")
            return
        for line in _by_litellm(found, other.version):
            self.stdout.write(line)


def _by_this_list(found: list[ModelComparison]) -> Iterator[str]:
    changed = [one for one in found if one.now != one.booked]
    calls = sum(model.calls for model in found)
    yield f"Calls of the last {DAYS} days without a stated cost or an override: {calls:,}"
    if not changed:
        yield "All would be priced as they are booked."
        return
    yield "These models would now be priced differently:"
    for model in changed:
        yield _line(model.model, model.calls, model.booked, model.now)
    yield "What is booked stays as it is. manage.py price_unpriced adds what is missing."


def _by_litellm(found: list[ModelComparison], version: str) -> Iterator[str]:
    compared = sum(model.compared for model in found)
    apart = [
        model
        for model in found
        if abs(model.other - model.listed_of_compared) > _LEAST * max(model.listed_of_compared, 1)
    ]
    if not apart:
        yield f"LiteLLM {version} knows {compared:,} of them, and prices them the same, to 1 %."
        return
    yield f"LiteLLM {version} knows {compared:,} of them, and prices these by more than 1 % differently:"
    for model in apart:
        yield _line(model.model, model.compared, model.listed_of_compared, model.other)


def _line(model: str, calls: int, before: int, after: int) -> str:
    name = printable(model) or "(no model given)"
    amounts = f"{money.exact(before)} → {money.exact(after)} ({money.change(after - before)})"
    return f"  {name}: {calls:,} ×, {amounts}"
