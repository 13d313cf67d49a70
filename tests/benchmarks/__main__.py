"""The figures of docs/benchmarks.md, for your machine: `make bench`, or

    python -m tests.benchmarks [--rows 1000000] [--results FOLDER] [PIECE…]

Each piece runs in its own process, on its own database: SQLite, and a PostgreSQL server started for it with
the default durability. Its output is shown and stored in the folder, with its figures as JSON.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks import rivals
from tests.with_postgres import VARIABLE, server

LITE, POSTGRES = "sqlite", "postgresql"


class Piece(NamedTuple):
    module: str
    arguments: tuple[str, ...] = ()
    databases: tuple[str, ...] = (LITE, POSTGRES)
    writes_json: bool = False
    """Whether it writes JSON to `--json FILE`; the others print it as their last line."""


def pieces(rows: int) -> dict[str, Piece]:
    sizes = sorted({max(rows // 10, 1), rows})
    return {
        "import": Piece("import_usage", ("--events", str(min(rows, 1_000_000)))),
        "import-single": Piece("import_usage", ("--shape", "single")),
        "pages": Piece("pages", writes_json=True),
        "connections": Piece("connections", (), (POSTGRES,), writes_json=True),
        "servers": Piece("servers", writes_json=True),
        "intake": Piece("intake", writes_json=True),
        "reads": Piece("reads", ("--rows", *map(str, sizes)), (POSTGRES,), writes_json=True),
    }


def run(name: str, piece: Piece, database: str, results: Path) -> bool:
    """Run a piece; return whether it succeeded."""
    path = results / f"{name}-{database}.json"
    command = [sys.executable, "-m", f"tests.benchmarks.{piece.module}", *piece.arguments]
    if piece.writes_json:
        command += ["--json", str(path)]
    print(f"\n{name}, {database}", flush=True)
    with _database(database) as environment:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        lines = []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    path.with_suffix(".txt").write_text("".join(lines))
    if process.wait() == 0 and not piece.writes_json:
        path.write_text(json.dumps(json.loads(lines[-1]), indent=2) + "\n")
    return process.returncode == 0


@contextmanager
def _database(name: str) -> Iterator[dict[str, str]]:
    bare = {key: value for key, value in os.environ.items() if key != VARIABLE}
    if name == LITE:
        yield bare
        return
    with server(durable=True) as url:
        yield {**bare, VARIABLE: url}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pieces", nargs="*", metavar="PIECE", help="; ".join(pieces(1)))
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the large ledger")
    parser.add_argument("--results", type=Path, default=Path("test-results/benchmarks"))
    options = parser.parse_args()
    known = pieces(options.rows)
    chosen = options.pieces or list(known)
    if unknown := set(chosen) - set(known):
        parser.error(f"no such piece: {', '.join(sorted(unknown))}")
    if "reads" in chosen:
        rivals.expect(rivals.NAMES)  # before minutes have passed
    options.results.mkdir(parents=True, exist_ok=True)
    ended = [
        run(name, known[name], database, options.results)
        for name in chosen
        for database in known[name].databases
    ]
    sys.exit(0 if all(ended) else 1)


if __name__ == "__main__":
    main()
