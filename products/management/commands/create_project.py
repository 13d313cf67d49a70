from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from products.command_line import user_named
from products.models import Project


class Command(BaseCommand):
    help = "Create a product and print its ID, and nothing else, to standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--owner", required=True, metavar="USERNAME")
        parser.add_argument(
            "--time-zone", default="UTC", metavar="ZONE", help="billing zone, such as Europe/Berlin"
        )
        parser.add_argument(
            "--create-user", action="store_true", help="create the owner if there is no such user"
        )

    @transaction.atomic
    def handle(self, *, name: str, owner: str, time_zone: str, create_user: bool, **_: Any) -> str:
        project = Project(name=name, owner=user_named(owner, create=create_user), time_zone=time_zone)
        try:
            project.full_clean()
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        project.save()
        return str(project.pk)
