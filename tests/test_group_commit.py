"""Requests that wait for the same project share a transaction, and nothing else."""

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
from billing import ledger
from billing.events.usage_event import Rejection
from billing.models import CreditTransaction
from billing.rollups import verification
from tests.factories import ProjectFactory, event
from tests.test_concurrency import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)

Batches = list[list[str]]


@pytest.fixture
def batches(monkeypatch) -> Batches:
    """The ids of each batch that reached the ledger; `poison` in it is refused, `busy` not heard."""
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
def while_another_has_the_turn(project: Any) -> Iterator[Callable[..., Future[Any]]]:
    """Gives a function that lets a request come and wait; they go on, in that order, when the block ends."""
    line = group_commit.line_of(project)

    def come(*events: Any) -> Future[Any]:
        before = len(line.waiting)
        future = pool.submit(_request, project, events)
        deadline = time.monotonic() + PATIENCE
        while len(line.waiting) == before and time.monotonic() < deadline:
            time.sleep(0.001)
        return future

    with ThreadPoolExecutor(8) as pool, line.turn:
        yield come


def _request(project: Any, events: Any) -> Any:
    try:
        return group_commit.record(project, events)
    finally:
        connection.close()


def statuses(future: Future[Any]) -> list[str]:
    return [outcome.status for outcome in future.result(PATIENCE)]


def booked() -> set[str]:
    return set(CreditTransaction.objects.values_list("event_id", flat=True))


def test_requests_that_wait_are_recorded_together_and_each_hears_of_its_own(batches):
    project = ProjectFactory()
    with while_another_has_the_turn(project) as come:
        first = come(event(eventId="a"), event(eventId="b"))
        again = come(event(eventId="b"), event(eventId="c"))
        other = come(event(eventId="a", inputTokens=99), Rejection(event_id="d", reason="no event"))
    assert batches == [["a", "b", "b", "c", "a", "d"]]
    assert statuses(first) == ["recorded", "recorded"]
    assert statuses(again) == ["duplicate", "recorded"]
    assert statuses(other) == ["conflict", "rejected"]
    assert booked() == {"a", "b", "c"}
    assert list(verification.differences(project)) == []


def test_what_the_database_refuses_is_refused_to_its_sender_alone(batches):
    project = ProjectFactory()
    with while_another_has_the_turn(project) as come:
        first, poison, last = (come(event(eventId=name)) for name in ("a", "poison", "b"))
    assert statuses(first) == statuses(last) == ["recorded"]
    with pytest.raises(DataError):
        poison.result(PATIENCE)
    assert booked() == {"a", "b"}


def test_a_busy_database_is_told_to_all_and_not_asked_again_for_each(batches):
    project = ProjectFactory()
    with while_another_has_the_turn(project) as come:
        requests = [come(event(eventId=name)) for name in ("a", "busy")]
    for request in requests:
        with pytest.raises(OperationalError):
            request.result(PATIENCE)
    assert batches == [["a", "busy"]]
    assert booked() == set()


def test_together_they_are_no_larger_than_one_request_may_be(batches):
    project = ProjectFactory()
    sizes = [MAX_EVENTS - 1, 1, 1]
    with while_another_has_the_turn(project) as come:
        requests = [come(*(event(eventId=f"{n}-{i}") for i in range(size))) for n, size in enumerate(sizes)]
    assert [len(statuses(request)) for request in requests] == sizes
    assert [len(batch) for batch in batches] == [MAX_EVENTS, 1]


def test_a_project_waits_for_no_other(batches):
    project, other = ProjectFactory(), ProjectFactory()
    with while_another_has_the_turn(project) as come:
        waits = come(event(eventId="a"))
        assert [one.status for one in group_commit.record(other, [event(eventId="b")])] == ["recorded"]
        assert not waits.done()
    assert statuses(waits) == ["recorded"]
    assert batches == [["b"], ["a"]]


def test_who_waits_too_long_for_a_turn_is_told_to_come_again_and_is_not_recorded(batches, settings):
    project = ProjectFactory()
    settings.LOCK_TIMEOUT = 0.05
    with while_another_has_the_turn(project) as come:
        late = come(event(eventId="a"))
        with pytest.raises(OperationalError, match="locked"):
            late.result(PATIENCE)
    assert batches == []
    assert [one.status for one in group_commit.record(project, [event(eventId="a")])] == ["recorded"]


def test_who_is_being_recorded_when_the_wait_ends_hears_what_became_of_it(batches, settings, monkeypatch):
    project = ProjectFactory()
    settings.LOCK_TIMEOUT = 0.05
    leave, asked = group_commit.Line.leave, Event()

    def taken_just_before(line: group_commit.Line, one: group_commit.Waiting) -> bool:
        group_commit._record(project, line.take())
        asked.set()
        return leave(line, one)

    monkeypatch.setattr(group_commit.Line, "leave", taken_just_before)
    with while_another_has_the_turn(project) as come:
        late = come(event(eventId="a"))
        assert asked.wait(PATIENCE)
    assert statuses(late) == ["recorded"]
    assert batches == [["a"]]
