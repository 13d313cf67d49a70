"""The database fails at any step of a request, before or after executing it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)
from django.db.models import Model
from django.test import Client

from billing import ledger, verification
from billing.models import CallReport, TraceSpan
from products import tokens
from products.models import AgentType, Project
from tests import otlp
from tests.factories import ProjectFactory, UserFactory, fields
from tests.faults.injected import AFTER, BEFORE, Steps
from tests.stored import stored

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clock")]

LAST_MONTH = "2026-02-10T08:00:00Z"
ANSWERS = {
    # Temporarily unavailable, whatever the database calls it: a retry is recorded.
    OperationalError: 503,
    InternalError: 503,
    ProgrammingError: 503,
    InterfaceError: 503,
    # Refused permanently: a retry is refused again.
    IntegrityError: 422,
    DataError: 422,
}
AT_EVERY_STEP = (OperationalError, IntegrityError)
EARLIER = [
    fields(eventId="known", jobId="job-1", agentType="testing", costDollars="5", occurredAt=LAST_MONTH),
    fields(kind="job", jobId="job-2", agentType="other"),
]
LATER = [
    fields(eventId="known", jobId="job-1", costDollars="5", occurredAt=LAST_MONTH, jobStatus="failed"),
    fields(eventId="moved", jobId="job-1", agentType="brand new", costDollars="7"),
    fields(eventId="new", runId="run-2", jobId="job-1", model="gpt-4o", inputTokens=9, costDollars=None),
    fields(eventId="back", kind="refund", jobId="job-2", costDollars="1"),
    fields(eventId="bought", kind="purchase", costDollars="50"),
    fields(kind="job", jobId="job-2", jobStatus="cancelled", agentType="research"),
]
CALL = {"model": "gpt-4o", "inputTokens": 9, "outputTokens": 3}
REPORTED = [
    fields(eventId="log", jobId="job-1", callIds=["x"], costDollars=None, **CALL),
    fields(eventId="span", runId="run-2", jobId="job-1", callIds=["y"], costDollars=None, **CALL),
]
REPORTED_LATER = [fields(eventId="gateway", jobId="job-2", callIds=["x", "y"], agentType="brand new", **CALL)]
SPANS = [
    otlp.request(otlp.chat(2, parent=1), otlp.chat(4, parent=3)),
    otlp.request(otlp.agent(1, "brand new"), otlp.agent(3, "testing", error=True), otlp.chat(5, parent=3)),
]
UNANSWERED = ("BEGIN", "COMMIT")
"""Not to get a response to these means a lost connection. A lost commit has a test of its own."""
Body = tuple[str, str, bytes]


def usage(events: list[Any]) -> Body:
    return "/api/v1/usage", "application/json", json.dumps(events).encode()


def traces(message: Any) -> Body:
    return "/v1/traces", otlp.PROTOBUF, otlp.encoded(message, otlp.PROTOBUF)


# Requests recorded before, and the request in which faults are injected.
REQUESTS: dict[str, tuple[list[Body], Body]] = {
    "usage, the first of a product": ([], usage(LATER)),
    "usage, more of it": ([usage(EARLIER)], usage(LATER)),
    "a report that makes two calls one": ([usage(REPORTED)], usage(REPORTED_LATER)),
    "traces with agents that arrive later": ([traces(SPANS[0])], traces(SPANS[1])),
}
RUN_LONG = ("usage, more of it", "traces with agents that arrive later")
WRITTEN = {
    *("products_agenttype", "products_pipelinerun", "products_agentjob", "billing_credittransaction"),
    *("billing_monthlyspend", "billing_dailyspend", "billing_runspend"),
}


class Sender:
    """A sender with a product of its own, which has some usage already."""

    def __init__(self, owner: Any, before: list[Body]) -> None:
        self.project: Project = ProjectFactory(owner=owner)
        token = tokens.issue(owner, project=self.project, scope="ingest")[1]
        self.client = Client(headers={"Authorization": f"Bearer {token}"})
        for body in before:
            assert self.send(body).status_code == 200
        # The token's first use is stored. After it, every request takes the same steps.
        self.send(usage([{}]))

    def send(self, body: Body) -> Any:
        address, kind, raw = body
        return self.client.post(address, raw, content_type=kind)

    def everything(self) -> dict[str, Any]:
        self.project.refresh_from_db()
        slugs = AgentType.objects.filter(project=self.project).values_list("slug", flat=True)
        return {
            **stored(self.project),
            "agent types": set(slugs),
            "spans": _rows(TraceSpan, self.project),
            "reports": _reports(self.project),
            "first usage": self.project.first_usage_at,
        }


def _reports(project: Project) -> set[Any]:
    reports = CallReport.objects.filter(project=project)
    return set(reports.values_list("event_id", "line", "booked_on__job_id", "times_booked", "booked_nanos"))


def _rows(model: type[Model], project: Project) -> set[Any]:
    rows = model._default_manager.filter(project=project).values()
    return {tuple(value for name, value in row.items() if name != "project_id") for row in rows}


@pytest.fixture
def new_sender() -> Callable[[list[Body]], Sender]:
    owner = UserFactory()
    return lambda before: Sender(owner, before)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] if name in RUN_LONG else []) for name in REQUESTS]
)
def test_an_error_at_any_step_records_nothing_and_a_retry_records_once(
    name: str,
    new_sender: Callable[[list[Body]], Sender],
    monkeypatch: pytest.MonkeyPatch,
    record_property: Any,
) -> None:
    before, body = REQUESTS[name]
    steps, undisturbed = Steps(monkeypatch), new_sender(before)
    assert steps.run(lambda: undisturbed.send(body)).status_code == 200
    whole, wanted = _recording(steps), undisturbed.everything()
    assert {table for table in WRITTEN if any(_writes(sql, table) for sql in whole)} == WRITTEN
    faults = [
        (at, when, error)
        for at, sql in enumerate(whole)
        for when in (BEFORE, AFTER)
        for error in AT_EVERY_STEP
        if when == BEFORE or not sql.startswith(UNANSWERED)
    ]

    sender = new_sender(before)
    untouched = sender.everything()
    for at, when, error in faults:
        answer = steps.run(lambda: sender.send(body), at, when, error)
        assert (answer.status_code, len(steps.seen) > at) == (ANSWERS[error], True), (whole[at], when, error)
        assert answer.status_code != 503 or int(answer["Retry-After"]) > 0
        assert sender.everything() == untouched, (whole[at], when, error)

    for at in {at for at, when, _ in faults if when == AFTER}:
        sender = new_sender(before)
        steps.run(lambda: sender.send(body), at, AFTER, OperationalError)  # noqa: B023  # called immediately
        assert sender.send(body).status_code == 200
        assert sender.everything() == wanted, whole[at]
    record_property("faults", f"{len(faults)} injected at {len(whole)} steps; 0 lost, 0 doubled")


def _recording(steps: Steps) -> list[str]:
    """The steps up to the commit. Those after it check the budget, and their failure loses nothing."""
    return steps.seen[: _commit(steps) + 1]


def _commit(steps: Steps) -> int:
    return len(steps.seen) - 1 - steps.seen[::-1].index("COMMIT")


def _writes(sql: str, table: str) -> bool:
    return f'"{table}"' in sql and not sql.startswith("SELECT")


@pytest.mark.parametrize("name", REQUESTS)
def test_retrying_after_a_lost_commit_response_gives_duplicates(
    name: str, new_sender: Callable[[list[Body]], Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, body = REQUESTS[name]
    steps, undisturbed, sender = Steps(monkeypatch), new_sender(before), new_sender(before)
    steps.run(lambda: undisturbed.send(body))
    answer = steps.run(lambda: sender.send(body), _commit(steps), AFTER, OperationalError)
    assert answer.status_code == 503
    assert sender.everything() == undisturbed.everything()
    assert sender.send(body).status_code == 200
    assert sender.everything() == undisturbed.everything()
    with verification.snapshot():
        assert list(verification.differences(sender.project)) == []


@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_an_error_after_the_commit_does_not_reach_the_sender(
    when: str, new_sender: Callable[[list[Body]], Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, undisturbed, sender = Steps(monkeypatch), new_sender([]), new_sender([])
    steps.run(lambda: undisturbed.send(usage(LATER)))
    after = range(_commit(steps) + 1, len(steps.seen))
    assert after
    answer = steps.run(lambda: sender.send(usage(LATER)), after[0], when, OperationalError)
    assert (answer.status_code, len(steps.seen) > after[0]) == (200, True)
    assert sender.everything() == undisturbed.everything()


@pytest.mark.parametrize("error", ANSWERS)
def test_the_status_says_whether_a_retry_can_succeed(
    error: type[Exception],
    new_sender: Callable[[list[Body]], Sender],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise error("text from the database")

    sender = new_sender([])
    monkeypatch.setattr(ledger, "record", broken)
    answer = sender.send(usage(LATER))
    assert answer.status_code == ANSWERS[error]
    assert ("Retry-After" in answer) == (ANSWERS[error] == 503)
    assert b"text from" not in answer.content
