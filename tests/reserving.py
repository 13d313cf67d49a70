"""Concurrent callers, each a process, that start together and reserve a dollar repeatedly.

`python -m tests.reserving PROJECT USER CALLERS TIMES` prints all answers as JSON. The processes are forked
here, not by the test, because no threads run here.
"""

import json
import multiprocessing
import os
import sys
from typing import Any

import django

PATIENCE = 120


def main(project: str, user: str, callers: str, times: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    import aicost.api.procedures  # noqa: F401  # loaded once for all

    processes = multiprocessing.get_context("fork")
    start = processes.Barrier(int(callers))
    with processes.Pool(int(callers), _remember, [start]) as pool:
        # Each waits for all the others, so none gets two of these.
        answers = pool.starmap(reserve, [(project, user, int(times))] * int(callers), chunksize=1)
    json.dump([answer for each in answers for answer in each], sys.stdout)


def _remember(barrier: Any) -> None:
    global start
    start = barrier


def reserve(project: str, user: str, times: int) -> list[dict[str, Any]]:
    from django.contrib.auth import get_user_model

    from aicost.api.procedures import PROCEDURES
    from products.access import Caller

    caller = Caller(get_user_model().objects.get(pk=user))  # connects as well
    given = {"projectId": project, "estimateDollars": 1}
    start.wait(PATIENCE)
    return [PROCEDURES["aiCost.reserveBudget"].call(caller, given) for _ in range(times)]


if __name__ == "__main__":
    main(*sys.argv[1:])
