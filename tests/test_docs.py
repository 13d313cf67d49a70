"""README names what there is: every command, setting, field and format."""

import re
from pathlib import Path

from django.core.management import get_commands

from aicost.api.procedures import PROCEDURES
from aicost.queries.sorting import ORDERS, STATES
from billing.events.usage_event import FIELDS, KINDS
from billing.imports.importer import FORMATS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_readme_names_every_command():
    ours = {name for name, app in get_commands().items() if app in ("aicost", "billing", "products")}
    assert ours
    assert {name for name in ours if f"manage.py {name}" not in README} == set()


def test_readme_and_settings_name_the_same_settings():
    read = set(re.findall(r'env\.\w+\("(\w+)"', (ROOT / "aicost" / "settings.py").read_text()))
    table = README.split("## Settings")[1].split("## Working")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == read


def test_readme_names_every_field_kind_and_format():
    for name in (*FIELDS, *KINDS, *FORMATS):
        assert f"`{name}`" in README, name


def test_readme_names_every_procedure():
    for name in PROCEDURES:
        assert f"`{name}`" in README, name


def test_the_pictures_are_there():
    for name in re.findall(r"!\[[^]]+\]\(([^)]+)\)", README):
        assert (ROOT / name).is_file(), name


def test_example_settings_are_settings_of_the_table():
    for line in (ROOT / ".env.example").read_text().splitlines():
        if line and not line.startswith("#"):
            assert f"| `{line.partition('=')[0]}` |" in README


def test_readme_names_every_order_and_state_of_the_portfolio():
    for name in (*ORDERS, *STATES):
        assert f"`{name}`" in README, name


def test_every_claim_about_security_names_a_test_that_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 30
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text(), f"{path}::{test}"
