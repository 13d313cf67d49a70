"""What the queries of the read side cost, compared with a `SELECT 1`, and with queries without rollups.

    python -m tests.with_postgres python -m tests.benchmarks.reads [--rows 1000000 10000000] [--json FILE]

Each size has its own database (`large_ledger`), reused if it exists. The statements are those that the
product executes, recorded from it; all statements of a question are executed in turn, prepared, over one
connection that keeps its plans, and their rows are fetched. `SELECT 1` precedes each question in the same
loop, so that other load on the machine affects both. Figures are medians, and × are multiples of it.
`processor` is a multiple of the processor time of a `SELECT 1`, client and server together; it includes no
waiting and says more on a busy machine (on Linux, with the server on that machine). `as sent` are the same
statements as Django sends them by default, with their values in the text. For the largest ledger, the plain
join of transactions, jobs and runs, and DuckDB and chdb with one wide table of the same rows, answer the same
questions; there × is how much longer they take than the product.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from tests.benchmarks import databases, large_ledger, questions, rivals, volume
from tests.benchmarks.questions import Statement
from tests.benchmarks.rivals import Rival
from tests.benchmarks.stopwatch import NOTHING, Stopwatch, Took

WARM_UP = 10
ONE = Statement("SELECT 1", ())
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
        # By default PostgreSQL plans again each time, since products differ in size, although planning takes
        # longer than running.
        self.prepared.execute("SET plan_cache_mode = force_generic_plan")
        self.watch = Stopwatch(self.prepared)
        sent = databases.connect(url)
        sent.prepare_threshold = None
        self.as_sent = psycopg.ClientCursor(sent)

    def ask_one(self) -> Took:
        return self._took(self.prepared, ONE)

    def ask(self, name: str) -> list[Took]:
        return [self._took(self.prepared, statement) for statement in self.asked[name].statements]

    def ask_as_sent(self, name: str) -> Took:
        statements = self.asked[name].statements
        return sum((self._took(self.as_sent, statement) for statement in statements), NOTHING)

    def _took(self, by: Any, statement: Statement) -> Took:
        return self.watch.time(lambda: by.execute(statement.sql, statement.params or None).fetchall())


@dataclass
class Times:
    """Times of a question in a database, one of each kind for every round."""

    ones: list[Took] = field(default_factory=list)
    statements: list[list[Took]] = field(default_factory=list)
    as_sent: list[Took] = field(default_factory=list)

    def figures(self) -> Figures:
        select_1, all_of_it = _median(self.ones), _median([sum(each, NOTHING) for each in self.statements])
        return {
            "select_1_ms": round(select_1.wall * 1000, 3),
            "ms": round(all_of_it.wall * 1000, 3),
            "multiple": round(all_of_it.wall / select_1.wall, 2),
            "statements": [
                round(_median(each).wall / select_1.wall, 2) for each in zip(*self.statements, strict=True)
            ],
            "processor": round(all_of_it.processor / select_1.processor, 2),
            "as_sent": round(_median(self.as_sent).wall / select_1.wall, 2),
        }


def _median(times: Sequence[Took]) -> Took:
    return Took(*(median(each) for each in zip(*times, strict=True)))


def product(askers: Sequence[Asker], rounds: int) -> dict[int, dict[str, Figures]]:
    """Measure each question in each database, in turn."""
    times = {asker.rows: {name: Times() for name in asker.asked} for asker in askers}
    for round_ in range(-WARM_UP, rounds):
        for asker in askers:
            for name in asker.asked:
                select_1, took, as_sent = asker.ask_one(), asker.ask(name), asker.ask_as_sent(name)
                if round_ >= 0:
                    of = times[asker.rows][name]
                    of.ones.append(select_1)
                    of.statements.append(took)
                    of.as_sent.append(as_sent)
    return {rows: {name: of.figures() for name, of in found.items()} for rows, found in times.items()}


def compare(asker: Asker, make: Callable[[], AbstractContextManager[Rival]], rounds: int) -> Figures:
    """Measure a rival, each query between a `SELECT 1` and the product's, as a multiple of the product's."""
    of = rivals.Period.of(asker.database, large_ledger.LARGEST)
    with make() as rival:
        times = {
            name: list(_times(rival, asker, name, sqls, rounds))
            for name, sqls in rivals.questions(of).items()
        }
        return {
            "load_seconds": rival.load_seconds and round(rival.load_seconds, 1),
            "bytes": rival.bytes,
            "questions": {name: _comparison(each) for name, each in times.items()},
        }


def _times(
    rival: Rival, asker: Asker, name: str, sqls: tuple[str, ...], rounds: int
) -> Iterator[tuple[float, ...]]:
    rivals.compare(name, asker.asked[name].answer, [rival.ask(sql) for sql in sqls])  # and warms it up
    for _ in range(rounds):
        select_1, product = asker.ask_one().wall, sum(took.wall for took in asker.ask(name))
        yield select_1, product, sum(asker.watch.time(partial(rival.ask, sql)).wall for sql in sqls)


def _comparison(times: list[tuple[float, ...]]) -> Figures:
    select_1, product, rival = (median(each) for each in zip(*times, strict=True))
    return {
        "ms": round(rival * 1000, 1),
        "multiple": round(rival / select_1),
        "of_product": round(rival / product),
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
        found["rivals"][name] = compare(largest, makers[name], rounds)
    return found


def _made(rows: int) -> Figures:
    return {} if databases.exists(large_ledger.name_of(rows)) else large_ledger.make(rows)


def table(found: Figures) -> Iterator[str]:
    """Yield Markdown, a line for each size and each rival."""
    sizes = list(found["product"])
    names = list(found["product"][sizes[-1]])
    yield _line(["× `SELECT 1`", *names])
    yield _line(["---"] * (len(names) + 1))
    for rows in sizes:
        figures = found["product"][rows]
        select_1 = figures[names[0]]["select_1_ms"]
        yield _line(
            [
                f"{rows:,} rows (`SELECT 1`: {select_1} ms)",
                *(f"{figures[n]['multiple']:.1f} ×" for n in names),
            ]
        )
        yield _line([f"{rows:,} rows, processor", *(f"{figures[n]['processor']:.1f} ×" for n in names)])
        yield _line([f"{rows:,} rows, as sent", *(f"{figures[n]['as_sent']:.1f} ×" for n in names)])
    if len(sizes) > 1:
        first, last = (found["product"][rows] for rows in (sizes[0], sizes[-1]))
        for label, measure in (("", "multiple"), (", processor", "processor")):
            grown = (f"{last[n][measure] / first[n][measure]:.2f}" for n in names)
            yield _line([f"{sizes[-1]:,} to {sizes[0]:,} rows{label}", *grown])
    for rival, results in found["rivals"].items():
        asked = results["questions"]
        cells = (f"{asked[n]['ms']:,.0f} ms, {asked[n]['of_product']:,} ×" for n in names if n in asked)
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
