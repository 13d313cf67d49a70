"""The docs name every command, setting, field, format and procedure, and nothing that does not exist."""

import ast
import json
import re
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from aicost.api.procedures import PROCEDURES
from aicost.presentation.connect import setups
from aicost.presentation.connect.setups import Machine, Target
from aicost.url_state.sorting import ORDERS, STATES
from billing.events.parsing import read
from billing.events.usage_event import FIELDS, KINDS
from billing.imports.formats import FORMATS
from tests.benchmarks.__main__ import pieces

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *(ROOT / "findings").glob("*.md")])
README_LINES = 140

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text_of(name: str) -> str:
    return (DOCS / f"{name}.md").read_text()


def without_code(text: str) -> str:
    return FENCE.sub("", text)


def anchors_in(path: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?)\s*$", without_code(path.read_text()), re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        twins = sum(anchor == slug or re.fullmatch(rf"{slug}-\d+", anchor) is not None for anchor in found)
        found.add(f"{slug}-{twins}" if twins else slug)
    return found


# ---- The docs name what there is


def test_commands_are_documented():
    ours = {name for name, app in get_commands().items() if app in ("aicost", "billing", "products")}
    assert ours
    documented = set(re.findall(r"^\| `manage\.py (\w+)", text_of("commands"), re.MULTILINE))
    assert documented == ours


def test_the_docs_and_the_settings_name_the_same_settings():
    read = set(re.findall(r'env\.\w+\("(\w+)"', (ROOT / "aicost" / "settings.py").read_text()))
    assert read
    assert set(re.findall(r"^\| `(\w+)` \|", text_of("settings"), re.MULTILINE)) == read


def test_fields_kinds_and_formats_are_documented():
    text = text_of("sending-usage")
    for name in (*FIELDS, *KINDS, *FORMATS):
        assert f"`{name}`" in text, name


def test_procedures_are_documented():
    text = text_of("api")
    for name in PROCEDURES:
        assert f"`{name}`" in text, name
    assert set(re.findall(r"^\| `(aiCost\.\w+)` \|", text, re.MULTILINE)) == set(PROCEDURES)


def test_orders_and_states_of_the_portfolio_are_documented():
    text = text_of("api")
    for name in (*ORDERS, *STATES):
        assert f"`{name}`" in text, name


def test_example_settings_are_settings_of_the_table():
    settings = text_of("settings")
    for line in (ROOT / ".env.example").read_text().splitlines():
        if line and not line.startswith("#"):
            assert f"| `{line.partition('=')[0]}` |" in settings


# ---- The docs name nothing that isn't there


@by_page
def test_commands_that_a_page_names_exist_and_take_its_options(page: Path):
    commands = get_commands()
    for name, rest in re.findall(r"manage\.py (\w+)([^`\n&#;>]*)", page.read_text()):
        assert name in commands, name
        app = commands[name]
        command = load_command_class(app, name) if isinstance(app, str) else app
        options = command.create_parser("manage.py", name)._option_string_actions
        for option in re.findall(r"--[a-z][\w-]*", rest):
            assert option in options, f"{name} {option}"


@by_page
def test_targets_and_benchmarks_that_a_page_names_exist(page: Path):
    text = page.read_text()
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = [*re.findall(r"`(make [^`]+)`", text), *re.findall(r"^make .+$", text, re.MULTILINE)]
    for words in code:
        for target in re.match(r"make((?: [\w-]+=\S+)*) ([a-z][\w-]*)", words).group(2).split():
            assert target in targets, words
        for chosen in re.findall(r'PIECES=(?:"([^"]+)"|(\S+))', words):
            assert set("".join(chosen).split()) <= set(pieces(1)), words
    for module in re.findall(r"python -m (tests[\w.]*)", text):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


@by_page
def test_modules_and_functions_that_a_page_names_exist(page: Path):
    for name in re.findall(r"`((?:aicost|billing|products)(?:\.[a-z_]\w*)+)`", page.read_text()):
        module, _, member = name.rpartition(".")
        assert hasattr(import_module(module), member) or find_spec(name), name


@by_page
def test_links_lead_to_files_and_headings(page: Path):
    for link in LINK.findall(without_code(page.read_text())):
        if re.match(r"[a-z]+:", link):
            assert link.startswith(("https://", "mailto:")), link
            continue
        name, _, anchor = link.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), link
        assert path.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors_in(path), link


@by_page
def test_json_in_a_page_is_valid(page: Path):
    for language, code in FENCE.findall(page.read_text()):
        if language == "json":
            json.loads(code)


@by_page
def test_events_in_a_page_are_valid_usage_events(page: Path):
    for event in re.findall(r'\{"eventId": "call-[^}]+\}', page.read_text()):
        read(json.loads(event), now=datetime(2026, 11, 1, tzinfo=UTC), credits_per_dollar=100)


def test_the_samples_for_agents_are_those_of_the_connect_page():
    """Comments and the layout of Python aside."""
    page = re.sub(r" +#.*$", "", text_of("agents"), flags=re.MULTILINE)
    target, machine = Target("https://aicost.example.com", 1), Machine()
    samples = setups.setups(target, machine, now=datetime(2026, 11, 1, tzinfo=UTC))
    for name in ("opentelemetry", "litellm", "claude", "codex", "claude_copy", "codex_copy"):
        sample = re.sub(r" +#.*$", "", samples[name].code, flags=re.MULTILINE)
        assert f"\n{sample}\n" in page, name
    [python] = [code for language, code in FENCE.findall(text_of("agents")) if language == "python"]
    assert ast.dump(ast.parse(python)) == ast.dump(ast.parse(samples["python"].code))


def test_the_pictures_are_there():
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert len(pictures) == 2
    for name in pictures:
        assert (ROOT / name).is_file(), name


def test_every_claim_about_security_names_a_test_that_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 30
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text(), f"{path}::{test}"


# ---- The pages themselves


def test_the_readme_is_short_and_begins_with_the_two_commands():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= README_LINES
    first_screen = "\n".join(lines[:20])
    assert "\nmake demo" in first_screen
    assert "\nmake test" in first_screen


def test_the_readme_leads_to_every_page():
    links = {link.partition("#")[0] for link in LINK.findall((ROOT / "README.md").read_text())}
    pages = {f"docs/{path.name}" for path in DOCS.glob("*.md")}
    assert pages
    assert pages <= links
    assert {"CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"} <= links


def test_every_figure_of_the_readme_is_in_the_benchmarks():
    table = (ROOT / "README.md").read_text().split("## Figures")[1].split("\n## ")[0]
    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \| `make bench", table, re.MULTILINE)
    assert rows
    for figure in re.findall(r"\d[\d,.]*", " ".join(rows)):
        assert re.search(rf"(?<![\d.,]){re.escape(figure)}(?![\d.])", text_of("benchmarks")), figure


def test_the_walks_name_files_that_exist_in_five_to_eight_steps():
    walks = text_of("architecture").split("## Walks")[1].split("\n### ")[1:]
    assert len(walks) == 5
    for walk in walks:
        files = re.findall(r"^\d+\. `([^`]+)`", walk, re.MULTILINE)
        assert 5 <= len(files) <= 8, walk
        assert [name for name in files if not (ROOT / name).is_file()] == []
