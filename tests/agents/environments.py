"""A virtual environment, or a folder of node modules, for each list of exact versions. Made once."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).parent / "setups"


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aicost-agents"


def python(name: str) -> Path:
    """The Python that has what `setups/NAME/requirements.txt` lists."""
    listed = FOLDER / name / "requirements.txt"

    def install(folder: Path) -> None:
        _run(sys.executable, "-m", "venv", str(folder))
        pip = str(folder / "bin" / "pip")
        _run(pip, "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", str(listed))

    return _made(listed.read_bytes() + sys.version.encode(), install) / "bin" / "python"


def node_modules(name: str) -> Path:
    """The folder that has, below `node_modules`, what `setups/NAME/package-lock.json` lists."""
    source = FOLDER / name
    lock = source / "package-lock.json"

    def install(folder: Path) -> None:
        folder.mkdir(parents=True)
        for file in (lock, source / "package.json"):
            shutil.copy(file, folder)
        _run("npm", "ci", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix", str(folder))

    return _made(lock.read_bytes(), install)


def _made(content: bytes, install: Callable[[Path], None]) -> Path:
    folder = cache() / hashlib.sha256(content).hexdigest()[:16]
    done = folder / ".complete"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        install(folder)
        done.touch()
    return folder


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
