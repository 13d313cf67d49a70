"""The TypeScript declaration: up to date, packed as a package, and right for those who use it."""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from aicost.api import typescript
from aicost.api.procedures import PROCEDURES
from tests.clients.node import FOLDER, executable

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "static" / "types"
DECLARATION = PACKAGE / "app-router.d.ts"
VERSIONS = {"the newest": FOLDER, "11.4, the oldest that will do": FOLDER / "v11.4"}


def test_the_committed_declaration_is_what_the_procedures_give() -> None:
    assert DECLARATION.read_text() == typescript.declaration(), "run manage.py export_types"


def test_export_types_writes_what_its_check_accepts(settings: Any, tmp_path: Path, capsys: Any) -> None:
    settings.BASE_DIR = tmp_path
    path = tmp_path / "static" / "types" / "app-router.d.ts"
    path.parent.mkdir(parents=True)
    with pytest.raises(CommandError, match="stale"):
        call_command("export_types", "--check")
    assert not path.exists()
    call_command("export_types")
    assert path.read_bytes() == DECLARATION.read_bytes()
    assert str(path) in capsys.readouterr().out
    call_command("export_types", "--check")
    path.write_text(path.read_text().replace("number", "string", 1))
    with pytest.raises(CommandError, match="stale"):
        call_command("export_types", "--check")


def test_no_description_can_end_its_comment() -> None:
    [line] = typescript._comment({"description": "all */ of it"})
    assert line.index("*/") == len(line) - 2


def test_every_procedure_is_used_in_the_check() -> None:
    check = (FOLDER / "check.ts").read_text()
    kinds = {"query": "query", "mutation": "mutate"}
    for name, one in PROCEDURES.items():
        assert f"await client.{name}.{kinds[one.kind]}(" in check, name


@pytest.mark.parametrize("version", VERSIONS)
def test_front_ends_compile_with_the_package_and_not_when_wrong(tmp_path: Path, version: str) -> None:
    _project(tmp_path, VERSIONS[version])
    compiler = FOLDER / "node_modules" / "typescript" / "bin" / "tsc"
    command = [executable("node"), str(compiler), "--project", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


def _project(folder: Path, clients: Path) -> None:
    """A front end that has installed the package as npm packs it, beside the official client."""
    installed = folder / "node_modules" / "@aicost" / "types"
    installed.mkdir(parents=True)
    with tarfile.open(_packed(folder)) as archive:
        archive.extractall(folder, filter="data")
    shutil.copytree(folder / "package", installed, dirs_exist_ok=True)
    (folder / "node_modules" / "@trpc").symlink_to(clients / "node_modules" / "@trpc")
    shutil.copy(FOLDER / "check.ts", folder)
    shutil.copy(FOLDER / "tsconfig.json", folder)


def _packed(folder: Path) -> Path:
    command = [
        executable("npm"),
        "pack",
        "--json",
        "--offline",
        "--pack-destination",
        str(folder),
        str(PACKAGE),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    [packed] = json.loads(result.stdout)
    assert {one["path"] for one in packed["files"]} == {"app-router.d.ts", "package.json"}
    return folder / str(packed["filename"])
