"""Group commit: requests that wait for the same project share a transaction, and nothing else."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest
from django.db import DataError, OperationalError, connection

from aicost.intake import group_commit
from aicost.intake.body import MAX_EVENTS
from billing import ledger, verification
from billing.events.usage_event import Rejection
from billing.models import CreditTransaction
from tests.factories import ProjectFactory, event
from tests.test_concurrency import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)

Batches = list[list[str]]


@pytest.fixture
def batches(monkeypatch) -> Batches:
    """The ids of each batch passed to the ledger. The ids `poison` and `busy` make it fail."""
    seen: Batches = []
    record = ledger.record

    def watched(project: Any, events: Any, **options: Any) -> Any:
        seen.append([one.event_id for one in events])
        if "poison" in seen[-1]:
            raise DataError("out of range")
        if "busy" in seen[-1]:
            raise OperationalError("database is locked")
        return record(project, events, **options)

    monkeypatch.setattr(ledger, "record", watched)
    return seen


@contextmanager
def while_another_has_the_lock(project: Any) -> Iterator[Callable[..., Future[Any]]]:
    """Yields a function that starts a request and returns once it waits. They run when the block ends."""
    queue = group_commit.queue_of(project)

    def send(*events: Any) -> Future[Any]:
        before = len(queue.pending)
        future = pool.submit(_request, project, events)
        deadline = time.monotonic() + PATIENCE
        while len(queue.pending) == before and time.monotonic() < deadline:
            time.sleep(0.001)
        return future

    with ThreadPoolExecutor(8) as pool, queue.lock:
        yield send


def _request(project: Any, events: Any) -> Any:
    try:
        return group_commit.record(project, "usage", events)
    finally:
        connection.close()


def statuses(future: Future[Any]) -> list[str]:
    return [outcome.status for outcome in future.result(PATIENCE)]


def recorded_ids() -> set[str]:
    return set(CreditTransaction.objects.values_list("event_id", flat=True))


def test_waiting_requests_are_recorded_together_and_each_gets_its_own_outcomes(batches):
    project = ProjectFactory()
    with while_another_has_the_lock(project) as send:
        first = send(event(eventId="a"), event(eventId="b"))
        again = send(event(eventId="b"), event(eventId="c"))
        other = send(event(eventId="a", inputTokens=99), Rejection(event_id="d", reason="no event"))
    assert batches == [["a", "b", "b", "c", "a", "d"]]
    assert statuses(first) == ["recorded", "recorded"]
    assert statuses(again) == ["duplicate", "recorded"]
    assert statuses(other) == ["conflict", "rejected"]
    assert recorded_ids() == {"a", "b", "c"}
    assert list(verification.differences(project)) == []


def test_a_request_refused_by_the_database_fails_alone(batches):
    project = ProjectFactory()
    with while_another_has_the_lock(project) as send:
        first, poison, last = (send(event(eventId=name)) for name in ("a", "poison", "b"))
    assert statuses(first) == statuses(last) == ["recorded"]
    with pytest.raises(DataError):
        poison.result(PATIENCE)
    assert recorded_ids() == {"a", "b"}


def test_a_busy_database_fails_all_waiting_requests_without_separate_attempts(batches):
    project = ProjectFactory()
    with while_another_has_the_lock(project) as send:
        requests = [send(event(eventId=name)) for name in ("a", "busy")]
    for request in requests:
        with pytest.raises(OperationalError):
            request.result(PATIENCE)
    assert batches == [["a", "busy"]]
    assert recorded_ids() == set()


def test_a_group_is_no_larger_than_one_request_may_be(batches):
    project = ProjectFactory()
    sizes = [MAX_EVENTS - 1, 1, 1]
    with while_another_has_the_lock(project) as send:
        requests = [send(*(event(eventId=f"{n}-{i}") for i in range(size))) for n, size in enumerate(sizes)]
    assert [len(statuses(request)) for request in requests] == sizes
    assert [len(batch) for batch in batches] == [MAX_EVENTS, 1]


def test_a_project_does_not_wait_for_another(batches):
    project, other = ProjectFactory(), ProjectFactory()
    with while_another_has_the_lock(project) as send:
        waits = send(event(eventId="a"))
        assert [one.status for one in group_commit.record(other, "usage", [event(eventId="b")])] == [
            "recorded"
        ]
        assert not waits.done()
    assert statuses(waits) == ["recorded"]
    assert batches == [["b"], ["a"]]


def test_a_request_that_waits_too_long_for_the_lock_is_not_recorded(batches, settings):
    project = ProjectFactory()
    settings.LOCK_TIMEOUT = 0.05
    with while_another_has_the_lock(project) as send:
        late = send(event(eventId="a"))
        with pytest.raises(OperationalError, match="locked"):
            late.result(PATIENCE)
    assert batches == []
    assert [one.status for one in group_commit.record(project, "usage", [event(eventId="a")])] == ["recorded"]


def test_a_request_being_recorded_when_its_wait_ends_gets_its_outcomes(batches, settings, monkeypatch):
    project = ProjectFactory()
    settings.LOCK_TIMEOUT = 0.05
    withdraw, called = group_commit.ProjectQueue.withdraw, Event()

    def recorded_just_before(queue: group_commit.ProjectQueue, request: group_commit.PendingRequest) -> bool:
        group_commit._record(project, queue.next_group())
        called.set()
        return withdraw(queue, request)

    monkeypatch.setattr(group_commit.ProjectQueue, "withdraw", recorded_just_before)
    with while_another_has_the_lock(project) as send:
        late = send(event(eventId="a"))
        assert called.wait(PATIENCE)
    assert statuses(late) == ["recorded"]
    assert batches == [["a"]]
