from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from aicost.api.typescript import declaration


class Command(BaseCommand):
    help = "Write the TypeScript declaration of the procedures, static/types/app-router.d.ts."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="write nothing; fail if the file is out of date"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(settings.BASE_DIR) / "static" / "types" / "app-router.d.ts"
        text = declaration()
        if options["check"]:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                raise CommandError(f"{path.name} is out of date. Run manage.py export_types")
        else:
            path.write_text(text, encoding="utf-8")
            self.stdout.write(f"Wrote {path}")
