"""The TypeScript declaration is up to date, packs as a package, and type-checks correctly."""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from aicost.api import typescript
from aicost.api.json_schema import Field, Scalar
from aicost.api.procedures import PROCEDURES
from tests.clients.node import FOLDER, executable

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "static" / "types"
DECLARATION = PACKAGE / "app-router.d.ts"
VERSIONS = {"the newest": FOLDER, "11.4, the oldest that will do": FOLDER / "v11.4"}


def test_the_committed_declaration_is_up_to_date() -> None:
    assert DECLARATION.read_text() == typescript.declaration(), "run manage.py export_types"


def test_export_types_check_accepts_its_output(settings: Any, tmp_path: Path, capsys: Any) -> None:
    settings.BASE_DIR = tmp_path
    path = tmp_path / "static" / "types" / "app-router.d.ts"
    path.parent.mkdir(parents=True)
    with pytest.raises(CommandError, match="out of date"):
        call_command("export_types", "--check")
    assert not path.exists()
    call_command("export_types")
    assert path.read_bytes() == DECLARATION.read_bytes()
    assert str(path) in capsys.readouterr().out
    call_command("export_types", "--check")
    path.write_text(path.read_text().replace("number", "string", 1))
    with pytest.raises(CommandError, match="out of date"):
        call_command("export_types", "--check")


def test_a_description_cannot_end_its_comment() -> None:
    field = Field("x", Scalar("string"), True, "all */ of it", {})
    [line] = typescript._comment(field)
    assert line.index("*/") == len(line) - 2


def test_check_ts_uses_every_procedure() -> None:
    check = (FOLDER / "check.ts").read_text()
    kinds = {"query": "query", "mutation": "mutate"}
    for name, procedure in PROCEDURES.items():
        assert f"await client.{name}.{kinds[procedure.kind]}(" in check, name


@pytest.mark.parametrize("version", VERSIONS)
def test_the_package_makes_tsc_accept_right_and_refuse_wrong_calls(tmp_path: Path, version: str) -> None:
    _project(tmp_path, VERSIONS[version])
    compiler = FOLDER / "node_modules" / "typescript" / "bin" / "tsc"
    command = [executable("node"), str(compiler), "--project", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


def _project(folder: Path, clients: Path) -> None:
    """Create a front end with the package as npm packs it, and the official client."""
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
