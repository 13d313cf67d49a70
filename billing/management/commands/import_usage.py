import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from billing.imports.formats import FORMATS
from billing.imports.importer import Problem, Receipt, import_paths
from billing.imports.importer import Progress as ReportBytes
from products.command_line import project_with_id
from products.printable import printable


class Command(BaseCommand):
    help = (
        "Import usage from files and folders, plain, .gz or .zst: usage events as JSON Lines or CSV, session "
        "logs of agents, LiteLLM's spend logs. Every valid event is recorded; running it again changes "
        "nothing. Exit status 1 if anything was rejected or in conflict, or if a folder has nothing to read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        parser.add_argument("--project", required=True, type=int, metavar="ID")
        parser.add_argument(
            "--format", choices=sorted(FORMATS), help="if it can't be guessed from the content"
        )
        parser.add_argument("--strict", action="store_true", help="record nothing if anything is wrong")
        parser.add_argument(
            "--dry-run", action="store_true", help="record nothing, report what would be recorded"
        )

    def handle(self, **options: Any) -> None:
        project = project_with_id(options["project"])
        try:
            with _progress_bar() as progress:
                receipt = import_paths(
                    project,
                    options["paths"],
                    format_name=options["format"],
                    strict=options["strict"],
                    dry_run=options["dry_run"],
                    report=self.report,
                    progress=progress,
                )
        except DatabaseError as error:
            raise CommandError(
                f"The database refused a batch: {error}. Nothing of that batch is recorded; earlier batches "
                "are. Run the import again to continue where it stopped."
            ) from error
        self.print_receipt(
            receipt, nothing_recorded=options["dry_run"] or (options["strict"] and receipt.failed)
        )
        if receipt.failed:
            sys.exit(1)

    def report(self, problem: Problem) -> None:
        self.stderr.write(f"{problem.kind}: {printable(problem.origin, 1000)}: {problem.text}")

    def print_receipt(self, receipt: Receipt, *, nothing_recorded: bool) -> None:
        counts = receipt.counts
        for label, number in (
            ("files", receipt.files),
            ("read", receipt.read),
            ("recorded", counts["recorded"]),
            ("duplicates", counts["duplicate"]),
            ("conflicts", counts["conflict"]),
            ("rejected", counts["rejected"]),
            ("skipped", counts["skipped"]),
            ("warnings", receipt.warnings),
            ("unpriced", sum(receipt.unpriced_models.values())),
        ):
            self.stdout.write(f"{label:<11}{number:>12,}")
        for kind, number in receipt.not_understood.most_common():
            self.stdout.write(f"  not understood: {kind.reason} ({kind.endpoint}, {number:,} times)")
        for model, number in receipt.unpriced_models.most_common():
            self.stdout.write(f"  no price is known for {printable(model)} ({number:,} times)")
        for name, number in receipt.recorded_as_other.most_common():
            self.stdout.write(
                f"  too many agent types, recorded under other: {printable(name)} ({number:,} times)"
            )
        if nothing_recorded:
            self.stdout.write("Nothing was recorded; this is what would have been recorded.")


@contextmanager
def _progress_bar() -> Iterator[ReportBytes]:
    """Show a progress bar on a terminal, and nothing elsewhere."""
    columns = TextColumn("importing"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(
        *columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task("", total=None)
        yield lambda read, total: bar.update(task, completed=read, total=total)
