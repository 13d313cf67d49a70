from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from billing.rollups import rebuilding
from products.command_line import projects_with_id


class Command(BaseCommand):
    help = "Rebuild the rollups from the ledger. New usage waits meanwhile."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", type=int, metavar="ID", help="only this product")

    def handle(self, *, project: int | None, **_: Any) -> None:
        for found in projects_with_id(project):
            rebuilding.rebuild(found)
            self.stdout.write(f"product {found.pk} ({found.name}): rebuilt")
