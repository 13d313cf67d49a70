from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing import rollups
from products.models import Project


class Command(BaseCommand):
    help = "Make the rollups anew from the ledger; usage waits meanwhile."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", type=int, metavar="ID", help="only this product")

    def handle(self, *, project: int | None, **_: Any) -> None:
        projects = Project.objects.order_by("pk")
        if project is not None:
            projects = projects.filter(pk=project)
            if not projects:
                raise CommandError(f"There is no product with the id {project}.")
        for one in projects:
            rollups.rebuild(one)
            self.stdout.write(f"product {one.pk} ({one.name}): rebuilt")
