from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from products import tokens
from products.command_line import project_with_id, user_named
from products.models import ApiToken


class Command(BaseCommand):
    help = "Create an API token and print it, and nothing else, to standard output. It can't be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", required=True, metavar="USERNAME")
        parser.add_argument("--project", type=int, metavar="ID", help="limit the token to one product")
        parser.add_argument("--scope", choices=ApiToken.Scope.values, default=ApiToken.Scope.READ.value)
        parser.add_argument("--name", default="", help="what the token is for")
        parser.add_argument(
            "--create-user", action="store_true", help="create the user if there is no such user"
        )

    @transaction.atomic
    def handle(
        self, *, user: str, project: int | None, scope: str, name: str, create_user: bool, **_: Any
    ) -> str:
        only_project = None if project is None else project_with_id(project)
        try:
            _token, text = tokens.issue(
                user_named(user, create=create_user), scope=scope, project=only_project, name=name
            )
        except PermissionDenied as error:
            raise CommandError(str(error)) from error
        return text
