"""Set up and reconcile the ledger of a database other than the test's own, in a separate process.

python -m tests.faults.books open 2           # migrates; prints the token of each new project
python -m tests.faults.books reconcile JOURNAL
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import django

from tests.faults.server import ROOT, environment
from tests.model import Model, Raw

# Functions that run in the separate process import Django's models inside.


def open_books(database: str, projects: int) -> dict[int, str]:
    """Create the tables and `projects` empty projects; return the ingest token of each."""
    return {int(project): token for project, token in _run(database, "open", str(projects)).items()}


def reconcile(database: str, journal: Path) -> dict[str, Any]:
    """Compare the ledger with what was sent and acknowledged; every list of the result should be empty."""
    return _run(database, "reconcile", str(journal))


def _run(database: str, *arguments: str) -> Any:
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults.books", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(database), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _open(projects: str) -> dict[int, str]:
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    from products import tokens
    from products.models import Project

    call_command("migrate", verbosity=0)
    owner = get_user_model().objects.create_user("owner")
    created = [Project.objects.create(name=f"Product {n}", owner=owner) for n in range(int(projects))]
    return {project.pk: tokens.issue(owner, project=project, scope="ingest")[1] for project in created}


def _reconcile(path: str) -> dict[str, Any]:
    journal = json.loads(Path(path).read_text())
    report: Counter[str] = Counter()
    found: dict[str, list[str]] = {}
    for project, batches in journal["sent"].items():
        acknowledged = journal["acknowledged"][project]
        report["acknowledged"] += len(acknowledged)
        for name, events in _differences(int(project), batches, acknowledged).items():
            found.setdefault(name, []).extend(events)
    return {**report, **found}


def _differences(pk: int, batches: list[list[Raw]], acknowledged: list[str]) -> dict[str, list[str]]:
    from billing import verification
    from billing.models import CallReport, CreditTransaction
    from products.models import Project

    project = Project.objects.get(pk=pk)
    recorded = Counter(
        CreditTransaction.objects.filter(project=project, adjusts=None).values_list("event_id", flat=True)
    )
    reports = CallReport.objects.filter(project=project).values_list("event_id", flat=True)
    recorded.update(set(reports) - recorded.keys())
    known = [raw for raws in batches for raw in raws if raw["eventId"] in recorded]
    with verification.snapshot():
        unproved = list(verification.differences(project))
    return {
        "lost": [event for event in acknowledged if event not in recorded],
        "doubled": [event for event, times in recorded.items() if times > 1],
        "unsent": sorted(recorded.keys() - {raw["eventId"] for raw in known}),
        "torn": [str(raws) for raws in batches if len({raw["eventId"] in recorded for raw in raws}) > 1],
        "unlike the model": _unlike_the_model(project, known),
        "unproved": unproved,
    }


def _unlike_the_model(project: Any, known: list[Raw]) -> list[str]:
    """Rows that differ from what the independent model computes from the recorded events."""
    from tests.stored import stored

    model = Model(project.time_zone, _no_price)
    model.accepted = known
    model.recorded = {raw["eventId"]: raw for raw in known}
    expected, found = model.state(), stored(project)
    return [
        f"{table} {key}: {found[table].get(key)}, not {expected[table].get(key)}"
        for table in expected
        for key in expected[table].keys() | found[table].keys()
        if found[table].get(key) != expected[table].get(key)
    ]


def _no_price(model: str, tokens: tuple[int, ...], at: datetime, reported: Raw) -> None:
    return None


COMMANDS: dict[str, Callable[[str], Any]] = {"open": _open, "reconcile": _reconcile}


def main() -> None:
    django.setup()
    command, argument = sys.argv[1:]
    sys.stdout.write(json.dumps(COMMANDS[command](argument)))


if __name__ == "__main__":
    main()
