"""How many processes and threads `manage.py serve` should have: dashboards a second, and how long each takes.

    python -m tests.benchmarks.servers [--workers 1 2 4] [--threads 1 2 4 8] [--clients 8]
    python -m tests.with_postgres --durable python -m tests.benchmarks.servers …

Clients that keep their connection ask for the dashboard over and over; before every tenth request they
record an event, so that the page must be rendered again. Settings are measured twice, forwards and backwards,
and the better result counts, because other load on the machine affects some of them.
"""

import argparse
import json
import tempfile
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from tests.benchmarks import load, serving
from tests.benchmarks.load import Act, Tally
from tests.benchmarks.pages import Access, Browser, prepared

CHANGED_EVERY = 10
WARM_UP = 1.0


def reader(port: int, access: Access) -> Act:
    browser = Browser(port, access)
    page = f"/dashboard/products/{access.project}/ai-cost"

    def read(number: int) -> int:
        if number % CHANGED_EVERY == 0:
            browser.record()
        browser.get(page)
        return 1

    return read


def measure(environment: dict[str, str], access: Access, options: argparse.Namespace) -> list[dict[str, Any]]:
    settings = list(product(options.workers, options.threads))
    found: dict[tuple[int, int], list[Tally]] = {setting: [] for setting in settings}
    for workers, threads in [*settings, *reversed(settings)]:
        with serving.server(environment, "--workers", str(workers), "--threads", str(threads)) as port:
            makes = [partial(reader, port, access)] * options.clients
            found[workers, threads].append(load.measure(makes, WARM_UP, options.seconds))
    return [
        _row(*setting, max(tallies, key=lambda tally: tally.events), options.seconds)
        for setting, tallies in found.items()
    ]


def _row(workers: int, threads: int, tally: Tally, seconds: float) -> dict[str, Any]:
    return {
        "workers": workers,
        "threads": threads,
        "pages_per_second": round(tally.events / seconds, 1),
        "p50_ms": round(load.percentile(tally.seconds, 50) * 1000, 1),
        "p99_ms": round(load.percentile(tally.seconds, 99) * 1000, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = serving.environment(Path(folder))
        if environment["DATABASE_URL"].startswith("sqlite"):
            options.workers = [1]
        rows = measure(environment, prepared(environment), options)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    print(
        "| processes | threads of each | pages a second | median, ms | 99 %, ms |",
        "|---|---|---|---|---|",
        sep="\n",
    )
    for row in rows:
        print("|", " | ".join(map(str, row.values())), "|")


if __name__ == "__main__":
    main()
