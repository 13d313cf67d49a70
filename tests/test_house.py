"""The house rules that a machine can hold."""

import ast
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.conftest import missing

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("aicost", "billing", "products")

NAMES_WITHOUT_A_SUBJECT = {
    "utils",
    "util",
    "helpers",
    "helper",
    "services",
    "service",
    "managers",
    "common",
    "misc",
}
MOST_MODULES = 14
"""Per folder, without `__init__.py` and migrations, so that a reader can take it in at a glance."""
ENTRANCES = {"aicost.settings", "aicost.urls", "aicost.wsgi", "aicost.asgi"}


def modules() -> list[Path]:
    return [path for floor in FLOORS for path in sorted((ROOT / floor).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """Absolute names of modules, and of what is taken from them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_house_has_its_floors() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in modules()} == set(FLOORS)


def test_imports_keep_the_contracts() -> None:
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which(
        "lint-imports"
    )
    if not command:
        missing("import-linter", "pip install -e .[test]")
    result = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.mark.parametrize("floor", FLOORS)
def test_no_floor_imports_one_above_not_even_inside_a_function(floor: str) -> None:
    above = FLOORS[: FLOORS.index(floor)]
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules()
        if path.relative_to(ROOT).parts[0] == floor
        for name in imported(path)
        if name.split(".")[0] in above
    ]
    assert wrong == []


def test_nothing_imports_the_settings_or_the_entrances() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules()
        if str(path.relative_to(ROOT)) not in {name.replace(".", "/") + ".py" for name in ENTRANCES}
        for name in imported(path)
        if name in ENTRANCES
    ]
    assert wrong == []


def test_modules_are_named_for_their_subject() -> None:
    parts = {part for path in modules() for part in path.relative_to(ROOT).with_suffix("").parts}
    assert parts & NAMES_WITHOUT_A_SUBJECT == set()


def test_no_folder_holds_more_modules_than_a_reader_takes_in() -> None:
    folders = Counter(
        path.parent.relative_to(ROOT)
        for path in modules()
        if path.name != "__init__.py" and path.parent.name != "migrations"
    )
    assert {str(folder): count for folder, count in folders.items() if count > MOST_MODULES} == {}


@pytest.mark.django_db
def test_every_change_of_a_model_has_its_migration() -> None:
    output = StringIO()
    try:
        call_command("makemigrations", check=True, dry_run=True, stdout=output)
    except (SystemExit, CommandError):
        pytest.fail(output.getvalue())


def test_migrations_have_names_that_a_reader_understands() -> None:
    names = [path.stem for floor in FLOORS for path in (ROOT / floor).glob("migrations/[0-9]*.py")]
    assert names
    assert [name for name in names if "_auto_" in name] == []


@pytest.mark.django_db
def test_the_run_is_on_the_database_that_it_names() -> None:
    import os

    url = os.environ.get("TEST_DATABASE_URL", "sqlite:")
    assert url.startswith(("postgres", "sqlite"))
    assert connection.vendor == ("postgresql" if url.startswith("postgres") else "sqlite")
