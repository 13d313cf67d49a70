from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from billing.db.citus import placement


class Command(BaseCommand):
    help = (
        "Spread the tables over the machines of a Citus cluster, by product, whose coordinator DATABASE_URL "
        "names. Run again, it places what has come since."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="print the SQL, execute nothing")
        parser.add_argument(
            "--shards",
            type=int,
            default=placement.SHARDS,
            help="in how many parts; far more than there will ever be workers (default: %(default)s)",
        )

    def handle(self, *, dry_run: bool, shards: int, **_: Any) -> None:
        make = placement.plan if dry_run else placement.distribute
        try:
            statements = make(connection, shards=shards)
        except placement.CannotDistribute as reason:
            raise CommandError(str(reason)) from None
        if dry_run:
            for statement in statements:
                self.stdout.write(f"{statement};")
        elif statements:
            self.stdout.write(
                "Every table has its place now. Set DISTRIBUTED=true wherever the product runs."
            )
        else:
            self.stdout.write("Every table had its place already.")
