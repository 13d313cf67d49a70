from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing import verification
from products.command_line import projects_with_id


class Command(BaseCommand):
    help = (
        "Check that every rollup equals the join of transactions, jobs and runs, and that every row has "
        "parents of its own product. Names each row that differs; exit status 1 if there is any."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", type=int, metavar="ID", help="only this product")

    def handle(self, *, project: int | None, **_: Any) -> None:
        wrong = checked = 0
        if note := verification.how_guarded():
            self.stdout.write(note)
        with verification.snapshot():
            for line in verification.missing_guards():
                wrong += 1
                self.stdout.write(line)
            for found in projects_with_id(project):
                checked += 1
                for line in verification.differences(found):
                    wrong += 1
                    self.stdout.write(f"product {found.pk}: {line}")
        products = "1 product" if checked == 1 else f"{checked} products"
        if wrong:
            raise CommandError(
                f"Rows that differ: {wrong}, in {products}. `manage.py rebuild_rollups` repairs rollups."
            )
        self.stdout.write(f"The ledger of {products} and everything computed from it agree.")
