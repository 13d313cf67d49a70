"""How fast `manage.py import_usage` reads a file, and how much memory it takes.

    python -m tests.benchmarks.import_usage [--events 100000] [--shape jobs|single]
    python -m tests.with_postgres python -m tests.benchmarks.import_usage …

The whole process is timed, from its start to its receipt; `loop_seconds` says how fast the machine was then.
`jobs` has eight model calls a job and five jobs a run; `single`, the hardest, a run and a job of its own for
every event.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SHAPES = {"jobs": (8, 40), "single": (1, 1)}
"""Events a job, events a run."""
AGENTS = ("implementation", "research", "testing", "security", "documentation", "release")


def events(number: int, shape: str) -> Iterator[dict[str, Any]]:
    per_job, per_run = SHAPES[shape]
    rng = random.Random(20260501)
    at = datetime(2026, 5, 1, tzinfo=UTC)
    for index in range(number):
        at += timedelta(seconds=12)
        job = index // per_job
        yield {
            "eventId": f"evt-{index:09}",
            "occurredAt": at.isoformat(),
            "runId": f"run-{index // per_run:08}",
            "jobId": f"job-{job:08}",
            "agentType": AGENTS[job % len(AGENTS)],
            "jobStatus": "failed" if job % 17 == 0 else "succeeded",
            "model": "claude-sonnet-4-5-20250929",
            "inputTokens": rng.randint(1, 9_999),
            "cacheReadTokens": rng.randint(1, 99_999),
            "outputTokens": rng.randint(1, 4_999),
            "costDollars": f"{rng.randint(1, 900_000) / 1_000_000:.6f}",
        }


def manage(environment: dict[str, str], *args: str) -> str:
    command = [sys.executable, str(ROOT / "manage.py"), *args]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def loop_seconds() -> float:
    """The time of a loop of ten million steps, for comparing machines."""
    start, step = time.perf_counter(), 0
    while step < 10_000_000:
        step += 1
    return time.perf_counter() - start


def measure(number: int, shape: str, folder: Path) -> dict[str, Any]:
    url = os.environ.get("TEST_DATABASE_URL") or f"sqlite:///{folder / 'bench.sqlite3'}"
    environment = {**os.environ, "DATABASE_URL": url, "SECRET_KEY": "bench", "DEBUG": "false"}
    manage(environment, "migrate", "--verbosity", "0")
    project = manage(environment, "create_project", "Bench", "--owner", "bench", "--create-user").strip()
    path = folder / "usage.jsonl"
    with path.open("w") as file:
        file.writelines(json.dumps(event) + "\n" for event in events(number, shape))
    loop = loop_seconds()
    start = time.monotonic()
    receipt = manage(environment, "import_usage", str(path), "--project", project)
    seconds = time.monotonic() - start
    assert f"recorded   {number:>12,}" in receipt, receipt
    return {
        "database": url.partition(":")[0],
        "shape": shape,
        "events": number,
        "seconds": round(seconds, 1),
        "events_per_second": round(number / seconds),
        "loop_seconds": round(min(loop, loop_seconds()), 2),
        # The largest process that this one has waited for, which is the import. Kilobytes on Linux.
        "peak_megabytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--shape", choices=SHAPES, default="jobs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(options.events, options.shape, Path(folder))))


if __name__ == "__main__":
    main()
