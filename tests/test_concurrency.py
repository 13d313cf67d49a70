"""Concurrent senders: nothing is lost or recorded twice, and nobody waits for ever."""

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from billing import verification
from billing.models import CreditTransaction
from billing.rollups import rebuilding
from products.models import Project
from tests.factories import ProjectFactory, UserFactory, event, send
from tests.stored import stored

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 120
"""Seconds after which a test assumes a deadlock. No sender needs a tenth of it."""


def senders() -> int:
    """SQLite has one writer at a time; the others wait for the lock by polling."""
    return 8 if connection.vendor == "postgresql" else 4


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Run each act in a thread of its own, all starting at once; return their results."""
    start = Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        try:
            start.wait(PATIENCE)
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result(PATIENCE) for future in [pool.submit(run, act) for act in acts]]


def history(count: int) -> list[Any]:
    """Events that share runs, jobs, days and agent types, and report on one another's jobs."""
    rng = random.Random(count)
    agents = ["testing", "research", "Zed", "other", None]
    statuses = [None, None, "running", "succeeded", "failed"]

    def report(n: int) -> dict[str, Any]:
        return {
            "runId": f"run-{n % 5}",
            "jobId": f"job-{n % 11}",
            "occurredAt": f"2026-0{1 + n % 3}-{1 + n % 28:02}T0{n % 10}:00:00Z",
            "agentType": rng.choice(agents),
            "jobStatus": rng.choice(statuses),
            "trigger": rng.choice(["push", "manual", None]),
        }

    deductions = [event(eventId=f"e{n}", inputTokens=n, **report(n)) for n in range(count)]
    refunds = [
        event(eventId=f"r{n}", kind="refund", costDollars="0.25", **report(n)) for n in range(count // 10)
    ]
    jobs = [event(kind="job", **report(n)) for n in range(count // 10)]
    grants = [event(eventId=f"g{n}", kind="grant") for n in range(count // 20)]
    return [*deductions, *refunds, *jobs, *grants]


def overlapping_batches(events: list[Any], seed: int) -> list[list[Any]]:
    """All events in a random order, in batches of several sizes, some events twice."""
    rng = random.Random(seed)
    shuffled = [*events, *rng.sample(events, len(events) // 4)]
    rng.shuffle(shuffled)
    batches = []
    while shuffled:
        size = rng.randint(1, 40)
        batches.append(shuffled[:size])
        shuffled = shuffled[size:]
    return batches


def send_all(project: Project, batches: list[list[Any]]) -> Counter[str]:
    return Counter(status for batch in batches for status in send(project, *batch))


def check_sound(project: Project) -> None:
    with verification.snapshot():
        assert list(verification.differences(project)) == []


def test_overlapping_senders_of_one_project_count_each_event_once() -> None:
    owner = UserFactory()
    project, alone = ProjectFactory(owner=owner), ProjectFactory(owner=owner)
    events = history(200)
    send_all(alone, [events])

    outcomes = at_once(
        *(lambda seed=seed: send_all(project, overlapping_batches(events, seed)) for seed in range(senders()))
    )

    transactions = [usage for usage in events if usage.kind != "job"]
    assert {status for each in outcomes for status in each} == {"recorded", "duplicate"}
    assert CreditTransaction.objects.filter(project=project).count() == len(transactions)
    assert stored(project) == stored(alone)
    check_sound(project)


def test_an_event_sent_by_all_at_once_is_recorded_once() -> None:
    project = ProjectFactory()
    same = event(eventId="e1")
    outcomes = at_once(*[lambda: send(project, same)] * 16)
    assert Counter(status for [status] in outcomes) == {"recorded": 1, "duplicate": 15}
    check_sound(project)


def test_of_conflicting_senders_one_wins_and_the_others_get_conflicts() -> None:
    project = ProjectFactory()
    rivals = [event(eventId="e1", costDollars=cost) for cost in range(1, senders() + 1)]
    outcomes = at_once(*(lambda rival=rival: send(project, rival) for rival in rivals))
    assert Counter(status for [status] in outcomes) == {"recorded": 1, "conflict": senders() - 1}
    winner = rivals[outcomes.index(["recorded"])]
    assert CreditTransaction.objects.get(project=project).amount_nanos == winner.stated_nanos
    check_sound(project)


def test_an_agent_type_first_reported_by_many_at_once_is_added_once() -> None:
    project = ProjectFactory()
    at_once(*(lambda n=n: send(project, event(agentType="new", jobId=f"j{n}")) for n in range(senders())))
    assert project.agent_types.filter(slug="new").count() == 1
    check_sound(project)


def test_concurrent_projects_do_not_mix() -> None:
    owner = UserFactory()
    events = history(60)
    projects = [ProjectFactory(owner=owner) for _ in range(senders())]
    at_once(*(lambda each=each: send_all(each, overlapping_batches(events, each.pk)) for each in projects))
    first = stored(projects[0])
    for each in projects:
        assert stored(each) == first
        check_sound(each)


def test_a_rebuild_during_sending_loses_nothing() -> None:
    owner = UserFactory()
    project, alone = ProjectFactory(owner=owner), ProjectFactory(owner=owner)
    events = history(120)
    send_all(alone, [events])

    def rebuild() -> None:
        for _ in range(10):
            rebuilding.rebuild(project)

    at_once(
        rebuild,
        *(
            lambda seed=seed: send_all(project, overlapping_batches(events, seed))
            for seed in range(senders() - 1)
        ),
    )
    assert stored(project) == stored(alone)
    check_sound(project)


def test_verification_during_sending_finds_no_differences() -> None:
    """Verification reads a snapshot, which contains a batch with its rollups or not at all."""
    project = ProjectFactory()
    events = history(120)

    def verify() -> list[str]:
        found: list[str] = []
        for _ in range(10):
            with verification.snapshot():
                found += verification.differences(project)
        return found

    results = at_once(
        verify,
        *(
            lambda seed=seed: send_all(project, overlapping_batches(events, seed))
            for seed in range(senders() - 1)
        ),
    )
    assert results[0] == []
