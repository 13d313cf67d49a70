from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from billing.db import citus


class Command(BaseCommand):
    help = (
        "Distribute the tables over the nodes of a Citus cluster, by product. DATABASE_URL names the "
        "coordinator. Running it again distributes tables that are new."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="print the SQL, execute nothing")
        parser.add_argument(
            "--shards",
            type=int,
            default=citus.SHARDS,
            help="number of shards; choose far more than there will ever be workers (default: %(default)s)",
        )

    def handle(self, *, dry_run: bool, shards: int, **_: Any) -> None:
        distribute = citus.plan if dry_run else citus.distribute
        try:
            statements = distribute(connection, shards=shards)
        except citus.NotPossible as reason:
            raise CommandError(str(reason)) from None
        if dry_run:
            for statement in statements:
                self.stdout.write(f"{statement};")
        elif statements:
            self.stdout.write(
                "Every table is distributed now. Set DISTRIBUTED=true on every server of the product."
            )
        else:
            self.stdout.write("Every table was distributed already.")
