"""Concurrent writers, each a process: `python -m tests.alert_writer PROJECT PROCESSES EVENTS`.

They start together. Each sends that many events of a dollar, evaluates the budget once more, as a worker
does, and prints how many events were recorded. One process loads everything and forks the others before any
of them connects to the database.
"""

import os
import sys
import traceback

import django
from django.db import connection


def main(project_id: str, processes: str, events: str) -> int:
    django.setup()
    connection.settings_dict["NAME"] = os.environ["AICOST_TEST_DATABASE"]
    from tests.factories import send  # noqa: F401  # loaded once for all

    waiting, start = os.pipe()
    children = [_fork(waiting, start, project_id, number, int(events)) for number in range(int(processes))]
    os.close(start)  # the end of the pipe is the signal to start
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


def _fork(waiting: int, start: int, project_id: str, number: int, events: int) -> int:
    if child := os.fork():
        return child
    os.close(start)
    try:
        os.write(1, f"{_write(waiting, project_id, number, events)}\n".encode())
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _write(waiting: int, project_id: str, number: int, events: int) -> int:
    from django.utils import timezone

    from billing.alerts import crossings
    from products.models import Project
    from tests.factories import event, send

    project = Project.objects.get(pk=project_id)
    now = timezone.now().isoformat()
    mine = [
        event(eventId=f"{number}-{each}", runId=f"run-{number}", occurredAt=now, costDollars="1")
        for each in range(events)
    ]
    os.read(waiting, 1)
    recorded = sum(send(project, one) == ["recorded"] for one in mine)
    crossings.evaluate(project)
    return recorded


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
