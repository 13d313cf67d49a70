from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from billing.rollups import rebuilding
from products.command_line import projects_with_id


class Command(BaseCommand):
    help = "Make the rollups anew from the ledger; usage waits meanwhile."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", type=int, metavar="ID", help="only this product")

    def handle(self, *, project: int | None, **_: Any) -> None:
        projects = projects_with_id(project)
        for one in projects:
            rebuilding.rebuild(one)
            self.stdout.write(f"product {one.pk} ({one.name}): rebuilt")
