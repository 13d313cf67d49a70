"""Callers in processes of their own, who start together and reserve a dollar again and again.

`python -m tests.reserving PROJECT USER CALLERS TIMES`; prints all answers as JSON. They are forked here,
where no threads run, and not by the test.
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
    import aicost.api.procedures  # noqa: F401  once, before there are many

    processes = multiprocessing.get_context("fork")
    start = processes.Barrier(int(callers))
    with processes.Pool(int(callers), _remember, [start]) as pool:
        # Each waits for all others, so none takes two of these.
        answers = pool.starmap(reserve, [(project, user, int(times))] * int(callers), chunksize=1)
    json.dump([one for told in answers for one in told], sys.stdout)


def _remember(barrier: Any) -> None:
    global start
    start = barrier


def reserve(project: str, user: str, times: int) -> list[dict[str, Any]]:
    from django.contrib.auth import get_user_model

    from aicost.api.procedures import PROCEDURES
    from products.access import Caller

    caller = Caller(get_user_model().objects.get(pk=user))  # connects, too
    given = {"projectId": project, "estimateDollars": 1}
    start.wait(PATIENCE)
    return [PROCEDURES["aiCost.reserveBudget"].call(caller, given) for _ in range(times)]


if __name__ == "__main__":
    main(*sys.argv[1:])
