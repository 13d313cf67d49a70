import socket
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from aicost import demo
from products.models import Project

FIRST_PORT = 8000


class Command(BaseCommand):
    help = (
        "Fill a separate database with demo products, with usage up to today, and serve it on loopback. "
        "The ledger is append-only, so the demo creates its database again each time."
    )
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-serve", action="store_true", help="only fill the database")
        parser.add_argument("--port", type=int, help=f"default: the first free port from {FIRST_PORT}")

    def handle(self, *, no_serve: bool, port: int | None, verbosity: int, **_: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo has a public password, so it runs with DEBUG=true only.")
        self.empty_database()
        call_command("migrate", verbosity=0)
        demo.fill()
        port = port or _free_port()
        # Flushed at once, for scripts that read these two lines through a pipe.
        self.print_line(f"http://127.0.0.1:{port}")
        self.print_line(f"user {demo.USER}, password {demo.PASSWORD}")
        if not no_serve:
            connection.close()
            call_command("runserver", f"127.0.0.1:{port}", use_reloader=False)

    def print_line(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def empty_database(self) -> None:
        """Delete an earlier demo. Raises `CommandError` if the database contains anything else."""
        if Project._meta.db_table not in connection.introspection.table_names():
            return
        if Project.objects.exclude(owner__username=demo.USER, name__in=[p.name for p in demo.PLANS]).exists():
            raise CommandError(
                "This database contains other products. Use a separate database for the demo, such as "
                "DATABASE_URL=sqlite:///demo.sqlite3"
            )
        if not Project.objects.exists():
            return
        if connection.vendor != "sqlite":
            raise CommandError(
                "This database contains a demo, and its ledger can't be emptied. Use a new database."
            )
        _delete_database()


def _delete_database() -> None:
    path = Path(connection.settings_dict["NAME"])
    connection.close()
    for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        file.unlink(missing_ok=True)


def _free_port() -> int:
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise CommandError(f"No port from {FIRST_PORT} to {FIRST_PORT + 99} is free. Use --port.")
