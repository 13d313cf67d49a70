from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from billing.db.citus import placement


class Command(BaseCommand):
    help = (
        "Distribute the tables by product over the machines of the Citus cluster whose coordinator "
        "DATABASE_URL names. Run again, it places tables that are new."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="print the SQL, execute nothing")
        parser.add_argument(
            "--shards",
            type=int,
            default=placement.SHARDS,
            help="number of shards; far more than there will ever be workers (default: %(default)s)",
        )

    def handle(self, *, dry_run: bool, shards: int, **_: Any) -> None:
        run = placement.plan if dry_run else placement.distribute
        try:
            statements = run(connection, shards=shards)
        except placement.CannotDistribute as reason:
            raise CommandError(str(reason)) from None
        if dry_run:
            for statement in statements:
                self.stdout.write(f"{statement};")
        elif statements:
            self.stdout.write(
                "Every table is in place now. Set DISTRIBUTED=true for the server and every command."
            )
        else:
            self.stdout.write("Every table was in place already.")
