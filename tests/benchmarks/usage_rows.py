"""The rows of a large ledger as text for COPY, made from a seed and so always the same.

Runs follow one another evenly from the first instant to the last; whose each is follows Zipf's law, so that
the first of 200 products has about 20 percent of them. A run has five jobs, a job eight calls, 12 seconds
apart, like the shape `jobs` of `import_usage`. One job in 17 fails, one in 50 is given something back, and in
the runs of the last hour the last job still runs.
"""

import random
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from typing import NamedTuple

SEED = 20260501
JOBS, CALLS = 5, 8
"""Jobs a run, deductions a job."""
APART = 12
LASTS = APART * JOBS * CALLS
ZIPF = 1.06
FAILED, CANCELLED, REFUNDED = 17, 97, 50
"""One job in this many."""
STILL_RUNS = 3_600
STOCK = 50_021
"""Number of different deductions, a prime, so that their order differs in each run."""
IDS_A_RUN = 64
TRIGGERS = ("schedule", "push", "pull_request", "manual", "api")
MODELS = (
    *("claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001", "claude-opus-4-5-20251101"),
    *("gpt-5-mini-2025-08-07", "gemini-2.5-pro"),
)

RUN_COLUMNS = (
    *(
        "id",
        "project_id",
        "run_id",
        "reported_trigger",
        "reported_status",
        "status",
        "job_count",
        "running_jobs",
    ),
    *("failed_jobs", "first_event_at", "last_event_at", "started_at", "finished_at"),
)
JOB_COLUMNS = (
    *("id", "project_id", "run_id", "job_id", "agent_type_id", "reported_status", "status"),
    *("has_deduction", "has_call_report"),
    *("first_event_at", "last_event_at", "started_at", "finished_at", "finished_on"),
)
LEDGER_COLUMNS = (
    *("id", "project_id", "job_id", "event_id", "kind", "amount_nanos", "cost_source", "model"),
    *("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens"),
    *("occurred_at", "billed_on", "recorded_at"),
)
CLOCK = [f"{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}" for s in range(86_400)]


@dataclass(frozen=True)
class Plan:
    """What to make: how many runs, between which instants, of which products and agent types."""

    runs: int
    first: datetime
    last: datetime
    projects: Sequence[int]
    agent_types: dict[int, Sequence[int]]

    @property
    def seconds(self) -> float:
        """The span in which runs begin."""
        return (self.last - self.first).total_seconds() - LASTS


class Rows(NamedTuple):
    runs: str
    jobs: str
    ledger: str
    transactions: int


class Maker:
    """Makes the rows of any part of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.shares = list(accumulate((rank + 1) ** -ZIPF for rank in range(len(plan.projects))))
        self.days = [str(day) for day in _days(plan.first.date(), plan.last.date())]
        self.midnight = (
            plan.first - datetime.combine(plan.first.date(), plan.first.timetz().min, UTC)
        ).seconds
        self.stock = list(_stock())

    def rows(self, numbers: range) -> Rows:
        """The rows of the runs with these numbers, which share a seed."""
        rng = random.Random(f"{SEED} {numbers.start}")
        runs: list[str] = []
        jobs: list[str] = []
        ledger: list[str] = []
        for number in numbers:
            rank = bisect(self.shares, rng.random() * self.shares[-1])
            self._run(number, self.plan.projects[rank], rng.getrandbits(32), runs, jobs, ledger)
        return Rows("".join(runs), "".join(jobs), "".join(ledger), len(ledger))

    def _run(
        self, number: int, project: int, chance: int, runs: list[str], jobs: list[str], ledger: list[str]
    ) -> None:
        begins = self.plan.seconds * number / self.plan.runs
        start, fraction = int(begins), f".{int(begins % 1 * 1000):03}+00"
        runs_on = self.plan.seconds - begins < STILL_RUNS
        statuses = [
            self._job(number, job, project, chance, start, fraction, runs_on, jobs, ledger)
            for job in range(JOBS)
        ]
        running, failed = statuses.count("running"), statuses.count("failed")
        first, last = self._at(start, fraction), self._at(start + LASTS - APART, fraction)
        status = "running" if running else "failed" if failed else "succeeded"
        runs.append(
            f"{number + 1}\t{project}\trun-{number:08}\t{TRIGGERS[chance % 5]}\t\t{status}"
            f"\t{JOBS}\t{running}\t{failed}\t{first}\t{last}\t{first}\t{NULL if running else last}\n"
        )

    def _job(
        self,
        run: int,
        position: int,
        project: int,
        chance: int,
        start: int,
        fraction: str,
        runs_on: bool,
        jobs: list[str],
        ledger: list[str],
    ) -> str:
        number = run * JOBS + position
        status = "running" if runs_on and position == JOBS - 1 else _end(chance + position)
        start += position * CALLS * APART
        kinds = self.plan.agent_types[project]
        kind, first = kinds[(chance >> 8) % 101 * (position + 3) % len(kinds)], self._at(start, fraction)
        at = self._calls(run, number, position, project, chance, start, fraction, ledger)
        if (chance + position) % REFUNDED == 0:
            self._refund(run, number, position, project, at, ledger)
        finish = NULL if status == "running" else at
        jobs.append(
            f"{number + 1}\t{project}\t{run + 1}\tjob-{number:08}\t{kind}\t{status}\t{status}\tt\tf"
            f"\t{first}\t{at}\t{first}\t{finish}\t{finish[:10] if finish != NULL else NULL}\n"
        )
        return status

    def _calls(
        self,
        run: int,
        job: int,
        position: int,
        project: int,
        chance: int,
        start: int,
        fraction: str,
        ledger: list[str],
    ) -> str:
        """Add a job's deductions; return the instant of the last."""
        days, stock, pk = self.days, self.stock, run * IDS_A_RUN + position * (CALLS + 1) + 1
        event, second = job * CALLS, start + self.midnight
        at = ""
        for call in range(CALLS):
            day = days[second // 86_400]
            at = f"{day} {CLOCK[second % 86_400]}{fraction}"
            ledger.append(
                f"{pk + call}\t{project}\t{job + 1}\tevt-{event + call:09}\tdeduction\t"
                f"{stock[(chance + event + call) % STOCK]}\t{at}\t{day}\t{at}\n"
            )
            second += APART
        return at

    def _refund(self, run: int, job: int, position: int, project: int, at: str, ledger: list[str]) -> None:
        pk = run * IDS_A_RUN + position * (CALLS + 1) + 1 + CALLS
        ledger.append(
            f"{pk}\t{project}\t{job + 1}\trefund-{job:08}\trefund\t{job % 90_000 * 1000}\treported\t"
            f"\t0\t0\t0\t0\t0\t{at}\t{at[:10]}\t{at}\n"
        )

    def _at(self, second: int, fraction: str) -> str:
        second += self.midnight
        return f"{self.days[second // 86_400]} {CLOCK[second % 86_400]}{fraction}"


NULL = "\\N"


def _end(chance: int) -> str:
    if chance % FAILED == 0:
        return "failed"
    return "cancelled" if chance % CANCELLED == 0 else "succeeded"


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last + timedelta(days=1):
        yield first
        first += timedelta(days=1)


def _stock() -> Iterator[str]:
    """Amount, source, model and tokens of deductions."""
    rng = random.Random(SEED)
    for _ in range(STOCK):
        nanos, model = rng.randint(1, 900_000) * 1_000, rng.choice(MODELS)
        fresh, cached, output = (rng.randint(1, most) for most in (9_999, 99_999, 4_999))
        yield f"{nanos}\treported\t{model}\t{fresh}\t{cached}\t0\t0\t{output}"
