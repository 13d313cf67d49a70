"""Run this folder's programs in Node.js, with the packages of its lock file."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

from tests.conftest import missing

FOLDER = Path(__file__).resolve().parent


def executable(name: str) -> str:
    """The path of `node` or `npm`; skips the test where it, or what `npm ci` installs, is missing."""
    path = shutil.which(name)
    if not path:
        missing(name, "install Node.js 20 or later, with npm")
    if not (FOLDER / "node_modules" / "@trpc").is_dir():
        missing("tests/clients/node_modules", "cd tests/clients && npm ci")
    return path


class Program:
    """A running program that answers each line of JSON with another."""

    def __init__(self, name: str) -> None:
        command = [executable("node"), str(FOLDER / name)]
        pipe = subprocess.PIPE
        # In production, errors of the official server have no stack trace, like the product's.
        environment = {**os.environ, "NODE_ENV": "production"}
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)

    def ask(self, question: dict[str, Any]) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps(question), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        assert answer, "the program has ended; see its standard error"
        return json.loads(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
