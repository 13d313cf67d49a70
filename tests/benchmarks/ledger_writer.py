"""How fast `billing.ledger.record` takes batches of 1,000, without HTTP. Each writer is a process.

Each round measures in turn: a plain COPY or executemany into a bare table (`bare`), the same into a table
with the ledger's columns, checks and indexes (`alone`), one writer, 16 writers of one project and day, and
16 writers of 16 projects. Ratios are calculated within a round; the output has their medians.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import Any

from tests.benchmarks import load, plain
from tests.benchmarks.import_usage import SHAPES, events
from tests.benchmarks.load import Act

BATCH = 1_000
WRITERS = 16
STOCK = 1_000
READY = 120_000
"""Events that are parsed before the clock starts, for all writers together."""
WARM_UP = 0.5
EVENTS_A_JOB, EVENTS_A_RUN = SHAPES["jobs"]


def prepare(environment: dict[str, str]) -> None:
    """Load the product once for all forked processes, before any of them has a connection."""
    os.environ.update(environment, DJANGO_SETTINGS_MODULE="aicost.settings")
    import django

    django.setup()


def writer(project_id: int, ready: int, prefix: str) -> Act:
    """Run in a process with its own connection."""
    from billing import ledger
    from billing.events.parsing import read
    from products.models import Project

    project = Project.objects.get(pk=project_id)
    stock, now = list(events(STOCK, "jobs")), datetime.now(UTC)

    def make_batch(number: int) -> list[Any]:
        return [
            read(stock[i % STOCK] | _named(prefix, i), now=now, credits_per_dollar=100)
            for i in range(number * BATCH, (number + 1) * BATCH)
        ]

    def record(number: int, batch: list[Any]) -> int:
        return ledger.count(ledger.record(project, batch))["recorded"]

    return load.prepared(make_batch, record, ready)


def _named(prefix: str, i: int) -> dict[str, str]:
    """Ids and time of an event. All are on one day, so 16 writers add to the same row of each rollup."""
    return {
        "eventId": f"{prefix}e{i}",
        "runId": f"{prefix}r{i // EVENTS_A_RUN}",
        "jobId": f"{prefix}j{i // EVENTS_A_JOB}",
        "occurredAt": f"2026-05-01T{i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02}Z",
    }


class Rounds:
    def __init__(self, environment: dict[str, str], projects: list[int], seconds: float) -> None:
        prepare(environment)
        self.url = environment["DATABASE_URL"]
        self.projects = projects
        self.seconds = seconds
        self.recorded = 0
        self.cells = 0

    def measure(self, rounds: int) -> dict[str, Any]:
        deadlocks = plain.deadlocks(self.url)
        measured = [self._round() for _ in range(rounds)]
        rates = {name: round(median(one[name] for one in measured)) for name in measured[0]}
        ratios = {
            f"{a}/{b}": round(median(one[a] / one[b] for one in measured), 2)
            for a, b in (
                *(("one", "alone"), ("one", "bare")),
                *(("sixteen_of_one_project", "one"), ("sixteen_of_sixteen", "one")),
            )
        }
        return {"rounds": rounds, **rates, **ratios, "deadlocks": plain.deadlocks(self.url) - deadlocks}

    def _round(self) -> dict[str, float]:
        first, others = self.projects[:1], self.projects[1:]
        return {
            "bare": self._plain("plain"),
            "alone": self._plain("ledger_alone"),
            "one": self._ledger(1, first),
            "sixteen_of_one_project": self._ledger(WRITERS, first),
            "sixteen_of_sixteen": self._ledger(WRITERS, others),
        }

    def _plain(self, table: str) -> float:
        make = partial(plain.writer, self.url, BATCH, READY // BATCH, self._prefix(), table)
        return self._rate([make])

    def _ledger(self, writers: int, projects: list[int]) -> float:
        ready = READY // BATCH // writers
        return self._rate(
            [partial(writer, projects[n % len(projects)], ready, self._prefix()) for n in range(writers)],
            recorded=True,
        )

    def _rate(self, makes: list[Callable[[], Act]], *, recorded: bool = False) -> float:
        tally = load.measure(makes, WARM_UP, self.seconds)
        self.recorded += tally.all_events if recorded else 0
        return tally.events / self.seconds

    def _prefix(self) -> str:
        self.cells += 1
        return f"writer-{self.cells}-"
