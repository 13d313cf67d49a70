"""Rules for the code that a test can check."""

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
PACKAGES = ("aicost", "billing", "products")

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
ENTRY_POINTS = {"aicost.settings", "aicost.urls", "aicost.wsgi", "aicost.asgi"}


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """Names of the imported modules, and of what is imported from them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_module_is_in_one_of_the_packages() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in modules()} == set(PACKAGES)


def test_import_contracts_hold() -> None:
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which(
        "lint-imports"
    )
    if not command:
        missing("import-linter", "pip install -e .[test]")
    result = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_imports_a_higher_one_even_inside_functions(package: str) -> None:
    above = PACKAGES[: PACKAGES.index(package)]
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules()
        if path.relative_to(ROOT).parts[0] == package
        for name in imported(path)
        if name.split(".")[0] in above
    ]
    assert wrong == []


def test_nothing_imports_settings_or_entry_points() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules()
        if str(path.relative_to(ROOT)) not in {name.replace(".", "/") + ".py" for name in ENTRY_POINTS}
        for name in imported(path)
        if name in ENTRY_POINTS
    ]
    assert wrong == []


def test_modules_are_named_after_their_subject() -> None:
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
def test_every_model_change_has_a_migration() -> None:
    output = StringIO()
    try:
        call_command("makemigrations", check=True, dry_run=True, stdout=output)
    except (SystemExit, CommandError):
        pytest.fail(output.getvalue())


@pytest.mark.django_db
def test_every_migration_is_applied_to_the_tests_database() -> None:
    """It is a copy, of one that may be from an earlier run."""
    try:
        call_command("migrate", check_unapplied=True, verbosity=0)
    except SystemExit:
        pytest.fail("the copied database lacks a migration")


def test_migrations_have_descriptive_names() -> None:
    names = [path.stem for package in PACKAGES for path in (ROOT / package).glob("migrations/[0-9]*.py")]
    assert names
    assert [name for name in names if "_auto_" in name] == []


@pytest.mark.django_db
def test_the_tests_run_on_the_configured_database() -> None:
    import os

    url = os.environ.get("TEST_DATABASE_URL", "sqlite:")
    assert url.startswith(("postgres", "sqlite"))
    assert connection.vendor == ("postgresql" if url.startswith("postgres") else "sqlite")


LONGEST_TEMPLATE_LINE = 160


def test_template_lines_fit_a_screen() -> None:
    templates = sorted((ROOT / "templates").rglob("*.*"))
    assert templates
    too_long = [
        f"{path.relative_to(ROOT)}:{number} has {len(line)} characters"
        for path in templates
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if len(line) > LONGEST_TEMPLATE_LINE
    ]
    assert too_long == []
