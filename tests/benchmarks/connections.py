"""What connections to PostgreSQL cost: kept by threads, from a pool, and without prepared statements.

    python -m tests.with_postgres --durable python -m tests.benchmarks.connections [--requests 120]

Each has a server of one process, all on one database with the demo's data. They are asked in turn, so that
other load on the machine affects all of them. Median milliseconds over HTTP: of a cached answer, of one that
is computed again after an event, and of recording that event.
"""

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter

from tests.benchmarks import databases, serving
from tests.benchmarks.pages import Browser, prepared, questions

SETTINGS = "DJANGO_SETTINGS_MODULE"
WAYS = {
    "kept by threads": {SETTINGS: "tests.benchmarks.settings"},
    "of a pool": {SETTINGS: "tests.benchmarks.pooled_settings"},
    "kept, nothing prepared": {SETTINGS: "tests.benchmarks.settings", "PREPARED_STATEMENTS": "false"},
}
ASKED = ("floor", "page", "portfolio", "aiCost.getMonthlySummary")
EVENT = "an event"
WARM_UP = 15

Times = dict[str, dict[str, float]]


def measure(rounds: int) -> Times:
    """Milliseconds, by action and kind of connection."""
    took: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        environment = serving.environment(Path(folder))
        access = prepared(environment)
        browsers = {
            way: Browser(
                servers.enter_context(serving.server({**environment, **settings}, "--workers", "1")), access
            )
            for way, settings in WAYS.items()
        }
        addresses = questions(access.project)
        for turn in range(-WARM_UP, rounds):
            for name in ASKED:
                for way, browser in browsers.items():
                    for act, milliseconds in _acts(browser, name, addresses[name]):
                        if turn >= 0:
                            took[act, way].append(milliseconds)
    acts = dict.fromkeys(act for act, _ in took)
    return {act: {way: round(median(took[act, way]), 2) for way in WAYS} for act in acts}


def _acts(browser: Browser, name: str, address: str) -> Iterator[tuple[str, float]]:
    began = perf_counter()
    browser.record()
    yield EVENT, (perf_counter() - began) * 1000
    yield f"{name}, uncached", browser.get(address)[0]
    yield name, browser.get(address)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=120)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    databases.server_url()  # or it says what is missing
    if not find_spec("psycopg_pool"):
        parser.exit(1, "psycopg_pool is missing: pip install -e '.[bench]'\n")
    found = measure(options.requests)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    print(f"| milliseconds, connections | {' | '.join(WAYS)} |", "|---" * (len(WAYS) + 1) + "|", sep="\n")
    for act, ways in found.items():
        print(f"| {act} | {' | '.join(f'{ms:.2f}' for ms in ways.values())} |")


if __name__ == "__main__":
    main()
