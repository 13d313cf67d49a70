"""What the read side's questions cost, beside a `SELECT 1`, and beside what one would have without rollups.

    python -m tests.with_postgres python -m tests.benchmarks.reads [--rows 1000000 10000000] [--json FILE]

Each size is a database of its own (`large_ledger`), kept where it is there already. The statements are those
that the product executes, taken down from it; all of a question's are executed in turn, prepared, over one
connection that keeps its plans, and their rows fetched. `SELECT 1` goes before each question in the same
loop, so that whatever else the machine does falls on both; figures are medians, and × are multiples of that;
`the fastest` is the best of all rounds beside the best `SELECT 1`, for a machine that never comes to rest.
`as sent` are the same statements as Django sends them by default, with their values in the text. Of the
largest ledger the same questions are asked by the plain join of transactions, jobs and runs, and of DuckDB
and chdb over one wide table with the same rows; there × is how much longer they take than the product.
"""

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import psycopg

from tests.benchmarks import databases, large_ledger, questions, rivals, volume
from tests.benchmarks.questions import Asked, Statement
from tests.benchmarks.rivals import Rival

WARM_UP = 10
Seconds = dict[str, list[float]]
Figures = dict[str, Any]


class Asker:
    """One database, with the product's statements for its largest product."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.database = large_ledger.name_of(rows)
        self.asked = questions.ask(self.database, large_ledger.LARGEST)
        url = databases.url_of(self.database)
        self.prepared = databases.connect(url)
        self.prepared.prepare_threshold = 0
        # Left to itself PostgreSQL plans anew each time, for products of unlike size, what takes longer to
        # plan than to run.
        self.prepared.execute("SET plan_cache_mode = force_generic_plan")
        self.sent = databases.connect(url)
        self.sent.prepare_threshold = None
        self.one = Asked((Statement("SELECT 1", ()),), None)

    def ask(self, one: Asked) -> list[float]:
        return [
            _seconds(lambda s=s: self.prepared.execute(s.sql, s.params or None).fetchall())
            for s in one.statements
        ]

    def ask_as_sent(self, one: Asked) -> float:
        cursor = psycopg.ClientCursor(self.sent)
        return sum(
            _seconds(lambda s=s: cursor.execute(s.sql, s.params or None).fetchall()) for s in one.statements
        )


def _seconds(act: Callable[[], Any]) -> float:
    start = perf_counter()
    act()
    return perf_counter() - start


def product(askers: Sequence[Asker], rounds: int) -> dict[int, dict[str, Figures]]:
    """Each question in each database, all of them in turn."""
    ones: dict[int, list[float]] = defaultdict(list)
    times: dict[tuple[int, str], list[list[float]]] = defaultdict(list)
    sent: dict[tuple[int, str], list[float]] = defaultdict(list)
    for turn in range(-WARM_UP, rounds):
        for asker in askers:
            for name, asked in asker.asked.items():
                one, took, as_sent = asker.ask(asker.one), asker.ask(asked), asker.ask_as_sent(asked)
                if turn >= 0:
                    ones[asker.rows] += one
                    times[asker.rows, name].append(took)
                    sent[asker.rows, name].append(as_sent)
    return {
        asker.rows: {
            name: _figures(ones[asker.rows], times[asker.rows, name], sent[asker.rows, name])
            for name in asker.asked
        }
        for asker in askers
    }


def _figures(ones: list[float], times: list[list[float]], sent: list[float]) -> Figures:
    one, fastest_one = median(ones), min(ones)
    total = median(map(sum, times))
    return {
        "select_1_ms": round(one * 1000, 3),
        "ms": round(total * 1000, 3),
        "multiple": round(total / one, 2),
        "statements": [round(median(each) / one, 2) for each in zip(*times, strict=True)],
        "as_sent": round(median(sent) / one, 2),
        "fastest": round(min(map(sum, times)) / fastest_one, 2),
    }


def beside(asker: Asker, make: Callable[[], AbstractContextManager[Rival]], rounds: int) -> Figures:
    """A rival's answers, each between a `SELECT 1` and the product's own, of which it is a multiple."""
    of = rivals.Period.of(asker.database, large_ledger.LARGEST)
    with make() as rival:
        told = {
            name: list(_told(rival, asker, name, sqls, rounds)) for name, sqls in rivals.questions(of).items()
        }
        return {
            "load_seconds": rival.load_seconds and round(rival.load_seconds, 1),
            "bytes": rival.bytes,
            "questions": {name: _beside_figures(times) for name, times in told.items()},
        }


def _told(
    rival: Rival, asker: Asker, name: str, sqls: tuple[str, ...], rounds: int
) -> Iterator[tuple[float, ...]]:
    rivals.compare(name, asker.asked[name].answer, [rival.ask(sql) for sql in sqls])  # and warms it up
    for _ in range(rounds):
        one, ours = sum(asker.ask(asker.one)), sum(asker.ask(asker.asked[name]))
        yield one, ours, sum(_seconds(partial(rival.ask, sql)) for sql in sqls)


def _beside_figures(times: list[tuple[float, ...]]) -> Figures:
    one, ours, theirs = (median(each) for each in zip(*times, strict=True))
    return {
        "ms": round(theirs * 1000, 1),
        "multiple": round(theirs / one),
        "of_product": round(theirs / ours),
    }


def measure(options: argparse.Namespace, folder: Path) -> Figures:
    made = {rows: _made(rows) for rows in sorted(options.rows)}
    askers = [Asker(rows) for rows in made]
    largest = askers[-1]
    found: Figures = {"made": made, "product": product(askers, options.rounds)}
    found["volume"] = {asker.rows: volume.of(asker.database) for asker in askers}
    makers = {
        "plain join": partial(rivals.plain_join, largest.database),
        "DuckDB": partial(rivals.duckdb_table, largest.database, folder),
        "chdb": partial(rivals.chdb_table, largest.database, folder),
    }
    found["rivals"] = {}
    for name in options.rivals:
        rounds = options.plain_rounds if name == "plain join" else options.rival_rounds
        found["rivals"][name] = beside(largest, makers[name], rounds)
    return found


def _made(rows: int) -> Figures:
    return {} if databases.exists(large_ledger.name_of(rows)) else large_ledger.make(rows)


def table(found: Figures) -> Iterator[str]:
    """As Markdown: a line for each size and each rival."""
    sizes = list(found["product"])
    names = list(found["product"][sizes[-1]])
    yield _line(["× `SELECT 1`", *names])
    yield _line(["---"] * (len(names) + 1))
    for rows in sizes:
        figures = found["product"][rows]
        one = figures[names[0]]["select_1_ms"]
        yield _line(
            [f"{rows:,} rows (`SELECT 1`: {one} ms)", *(f"{figures[n]['multiple']:.1f} ×" for n in names)]
        )
        yield _line([f"{rows:,} rows, the fastest", *(f"{figures[n]['fastest']:.1f} ×" for n in names)])
        yield _line([f"{rows:,} rows, as sent", *(f"{figures[n]['as_sent']:.1f} ×" for n in names)])
    if len(sizes) > 1:
        first, last = (found["product"][rows] for rows in (sizes[0], sizes[-1]))
        grown = (f"{last[n]['multiple'] / first[n]['multiple']:.2f}" for n in names)
        yield _line([f"{sizes[-1]:,} to {sizes[0]:,} rows", *grown])
    for rival, told in found["rivals"].items():
        asked = told["questions"]
        cells = (f"{asked[n]['ms']:,.0f} ms, {asked[n]['of_product']:,} ×" for n in names)
        yield _line([f"{rival}, {sizes[-1]:,} rows", *cells])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--rivals", nargs="*", choices=rivals.NAMES, default=rivals.NAMES)
    parser.add_argument("--rival-rounds", type=int, default=7)
    parser.add_argument("--plain-rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rivals.expect(options.rivals)
    databases.set_up_django()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options, Path(folder))
    print(*table(found), "", *volume.table(found["volume"]), sep="\n")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
