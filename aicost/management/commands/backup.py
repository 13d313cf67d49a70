"""Copy a SQLite database consistently while others write to it."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection


class Command(BaseCommand):
    help = (
        "Copy the SQLite database to a new file while the server runs. The copy has everything acknowledged "
        "before it began. For PostgreSQL, use pg_dump."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path, metavar="PATH", help="a file that does not exist yet")

    def handle(self, *, path: Path, **_: Any) -> None:
        if connection.vendor != "sqlite":
            raise CommandError("This command is for SQLite. Use pg_dump -Fc for PostgreSQL.")
        if path.exists():
            raise CommandError(f"{path} already exists. A backup never overwrites a file.")
        unfinished = path.with_name(path.name + ".unfinished")
        try:
            _copy(Path(connection.settings_dict["NAME"]), unfinished)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        unfinished.rename(path)
        self.stdout.write(f"{path}: {path.stat().st_size:,} bytes")


def _copy(database: Path, target: Path) -> None:
    """Copy in one step, which is one snapshot, into a file that only its owner can ever read."""
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    source = sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)
    with closing(source), closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        # A single file, without a WAL next to it.
        copy.execute("PRAGMA journal_mode = DELETE")
        [result] = copy.execute("PRAGMA quick_check").fetchall()
        if result != ("ok",):
            raise CommandError(f"The copy is damaged: {result[0]}")
    with target.open("rb") as file:
        os.fsync(file.fileno())
