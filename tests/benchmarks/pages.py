"""What the dashboard and the procedures cost over HTTP, compared with a no-op authenticated view.

    python -m tests.benchmarks.pages [--requests 300] [--product NAME] [--json FILE]
    python -m tests.with_postgres --durable python -m tests.benchmarks.pages …

`manage.py serve` with one process, the demo's data, one client that keeps its connection and is signed
in. All addresses are asked in turn, so that whatever else the machine does falls on each. `floor` resolves
session, user and project and returns a constant. *Unchanged*: nothing was recorded since the last answer.
*After an event*: an event was recorded before each request.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

from tests.benchmarks import serving
from tests.benchmarks.import_usage import manage

PRODUCT = "Aurora Checkout"
WARM_UP = 30


@dataclass(frozen=True)
class Access:
    project: int
    session: str
    token: str
    """For sending usage."""


def prepared(environment: dict[str, str], product: str = "") -> Access:
    """Access to a product that exists in the database, or, without a name, to one of the demo, made now."""
    if not product:
        manage({**environment, "DEBUG": "true"}, "demo", "--no-serve")
    manage(environment, "collectstatic", "--noinput", "--verbosity", "0")
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.pages"]
    command += ["--prepare", "--product", product or PRODUCT]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return Access(**json.loads(output))


def prepare(product: str) -> None:
    """Run in another process: sign the owner in, and print what the client needs."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "aicost.settings"
    django.setup()
    from django.test import Client

    from products import tokens
    from products.models import Project

    project = Project.objects.get(name=product)
    client = Client()
    client.force_login(project.owner, backend="django.contrib.auth.backends.ModelBackend")
    token = tokens.issue(project.owner, scope="ingest", project=project)[1]
    print(json.dumps({"project": project.pk, "session": client.cookies["sessionid"].value, "token": token}))


class Browser:
    def __init__(self, port: int, access: Access) -> None:
        self.connection = HTTPConnection("127.0.0.1", port)
        self.cookie = f"sessionid={access.session}"
        self.access = access
        self.id = f"bench-{time.time_ns()}"
        self.sent = 0

    def get(self, address: str, **headers: str) -> tuple[float, Any, bytes]:
        """Return milliseconds, headers and body."""
        began = time.perf_counter()
        self.connection.request(
            "GET", address, headers={"Cookie": self.cookie, "Accept-Encoding": "gzip", **headers}
        )
        response = self.connection.getresponse()
        body = response.read()
        took = (time.perf_counter() - began) * 1000
        assert response.status in (200, 304), (address, response.status, body[:500])
        return took, response.headers, body

    def record(self) -> None:
        self.sent += 1
        event = {
            "eventId": f"{self.id}-{self.sent}",
            "occurredAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "runId": "bench",
            "agentType": "testing",
            "costDollars": "0.01",
        }
        headers = {"Authorization": f"Bearer {self.access.token}", "Content-Type": "application/json"}
        self.connection.request("POST", "/api/v1/usage", json.dumps(event), headers)
        response = self.connection.getresponse()
        body = response.read()
        assert response.status == 200, body


def questions(project: int) -> dict[str, str]:
    page = f"/dashboard/products/{project}/ai-cost"
    asked = quote(json.dumps({"projectId": str(project)}))
    return {
        "floor": f"/floor/{project}",
        "page": page,
        "page, 90 days and Recent": f"{page}?range=90&tab=recent",
        "month fragment": f"{page}/month",
        "daily fragment, 90 days": f"{page}/daily?range=90",
        "tabs fragment, By Agent Type": f"{page}/tabs",
        "tabs fragment, Monthly Trend": f"{page}/tabs?tab=trend",
        "tabs fragment, Top Pipelines": f"{page}/tabs?tab=runs",
        "tabs fragment, Recent Runs": f"{page}/tabs?tab=recent",
        "portfolio": "/",
        **{
            f"aiCost.{name}": f"/api/trpc/aiCost.{name}?input={asked}"
            for name in ("getMonthlySummary", "getMonthlyTrend", "getRecentTransactions")
        },
    }


def not_modified(browser: Browser, address: str) -> float:
    """Request with the tag of a moment ago, and once more if the minute changes in between."""
    for _ in range(2):
        tag = browser.get(address)[1]["ETag"]
        took, _, body = browser.get(address, **{"If-None-Match": tag})
        if not body:
            return took
    raise AssertionError(f"{address} was sent whole twice")


def measure(browser: Browser, rounds: int) -> dict[str, Any]:
    asked = questions(browser.access.project)
    acts: dict[str, Callable[[], float]] = {
        name: (lambda address=address: browser.get(address)[0]) for name, address in asked.items()
    }
    for name, address in asked.items():
        if browser.get(address)[1]["ETag"]:
            acts[f"304 of {name}"] = partial(not_modified, browser, address)
    for _ in range(WARM_UP):
        for act in acts.values():
            act()
    unchanged: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(rounds):
        for name, act in acts.items():
            unchanged[name].append(act())
    changed: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(rounds // 4):
        for name in asked:
            browser.record()
            changed[name].append(acts[name]())
    return {"unchanged": _medians(unchanged), "changed": _medians(changed)}


def _medians(times: dict[str, list[float]]) -> dict[str, float]:
    return {name: round(median(found), 3) for name, found in times.items()}


def table(found: dict[str, Any]) -> str:
    rows = ["| | unchanged, ms | × | after an event, ms | × |", "|---|---|---|---|---|"]
    floor = {kind: times["floor"] for kind, times in found.items()}
    for name, ms in found["unchanged"].items():
        after = found["changed"].get(name)
        rest = f"{after:.2f} | {after / floor['changed']:.2f}" if after else "|"
        rows.append(f"| {name} | {ms:.2f} | {ms / floor['unchanged']:.2f} | {rest} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--product", default="", help="of the database that TEST_DATABASE_URL names")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.prepare:
        prepare(options.product)
        return
    with tempfile.TemporaryDirectory() as folder:
        environment = serving.environment(Path(folder))
        access = prepared(environment, options.product)
        settings = {**environment, "DJANGO_SETTINGS_MODULE": "tests.benchmarks.settings"}
        with serving.server(settings, "--workers", "1") as port:
            found = measure(Browser(port, access), options.requests)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    print(table(found))


if __name__ == "__main__":
    main()
