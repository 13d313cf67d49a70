"""The official tRPC clients 10 and 11, with each of their links, against a running server."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import OperationalError
from django.middleware.csrf import _get_new_csrf_string
from django.test import Client

from aicost.api.procedures import PROCEDURES
from billing.budgets import limits
from products import tokens
from products.access import Caller
from tests.clients.node import Program
from tests.factories import event, send

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clock"), pytest.mark.once]

BATCHING = (
    "11 httpBatchLink",
    "11 httpBatchStreamLink",
    "11 httpBatchStreamLink by accept",
    "10 httpBatchLink",
)
CLIENTS = ("11 httpLink", "10 httpLink", *BATCHING)
SUMMARY = "aiCost.getMonthlySummary"

# Example input of each procedure, apart from the project.
INPUTS: dict[str, dict[str, Any]] = {
    SUMMARY: {},
    "aiCost.getMonthlyTrend": {"month": "2026-02"},
    "aiCost.getCrossProjectSummary": {},
    "aiCost.setBudgetLimit": {"limitDollars": 12.34},
    "aiCost.clearBudgetLimit": {},
    "aiCost.checkBudget": {"estimateDollars": 0.25},
    "aiCost.reserveBudget": {"estimateDollars": 0.25, "reservationId": "call/ü"},
    "aiCost.getRecentTransactions": {},
    "aiCost.getDailySpend": {"days": 7},
}


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with Program("client.mjs") as running:
        yield running


@pytest.fixture(params=CLIENTS)
def client_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def ask(program: Program, live_server: Any, client_name: str) -> Callable[..., Any]:
    """Make calls at once with the test's client. Returns the callers' results, and the requests."""
    cache.clear()

    def made(*calls: dict[str, Any], headers: dict[str, str] | None = None, **options: Any) -> Any:
        return program.ask(
            {
                "client": client_name,
                "url": f"http://127.0.0.1:{live_server.thread.port}/api/trpc",
                "headers": headers or {},
                "calls": calls,
                "options": options,
            }
        )

    return made


@pytest.fixture
def busy(project: Any) -> Any:
    send(
        project,
        event(
            eventId="a", runId="run/ü", jobId="j1", agentType="testing", inputTokens=1000, costDollars="1.25"
        ),
        event(eventId="b", runId="run-2", jobId="j2", occurredAt="2026-02-03T10:00:00Z", costDollars="0.5"),
    )
    return project


def call(path: str, project: Any = None, **more: Any) -> dict[str, Any]:
    """A call as the client's user writes it, without input if the procedure takes none."""
    given = {"input": {"projectId": str(project.pk), **more}} if project else {}
    return {"path": path, "kind": PROCEDURES[path].kind if path in PROCEDURES else "query", **given}


def example(path: str, project: Any) -> dict[str, Any]:
    return call(path, project if PROCEDURES[path].input else None, **INPUTS[path])


def bearer(user: Any, scope: str = "read") -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.issue(user, scope=scope)[1]}"}


def session(user: Any) -> dict[str, str]:
    client = Client()
    client.force_login(user)
    return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"}


def with_csrf(headers: dict[str, str]) -> dict[str, str]:
    secret = _get_new_csrf_string()
    return {"Cookie": f"{headers['Cookie']}; {settings.CSRF_COOKIE_NAME}={secret}", "X-CSRFToken": secret}


def limit(project: Any) -> int | None:
    """In nano-dollars."""
    return limits.limits_now([project]).get(project.pk)


def the_error(answer: Any) -> dict[str, Any]:
    """The error of the only call, which must be a `TRPCClientError`."""
    [outcome] = answer["outcomes"]
    error = outcome["error"]
    assert error["isTRPCClientError"]
    return error


def test_every_procedure_has_an_example() -> None:
    assert set(INPUTS) == set(PROCEDURES)


def test_every_query_returns_the_procedures_output(ask: Any, client_name: str, busy: Any, owner: Any) -> None:
    queries = [example(path, busy) for path, one in PROCEDURES.items() if one.kind == "query"]
    answer = ask(*queries, headers=bearer(owner))
    expected = [PROCEDURES[one["path"]].call(Caller(owner), one.get("input")) for one in queries]
    assert [outcome.get("data") for outcome in answer["outcomes"]] == expected
    assert answer["outcomes"][0]["data"]["totalCost"] == 1.25
    requests = 1 if client_name in BATCHING else len(queries)
    assert [(one["method"], one["status"]) for one in answer["requests"]] == [("GET", 200)] * requests


def test_mutations_change_the_budget_by_token(ask: Any, project: Any, manager: Any) -> None:
    headers = bearer(manager, "write")
    [outcome] = ask(example("aiCost.setBudgetLimit", project), headers=headers)["outcomes"]
    assert outcome["data"]["budgetLimit"] == 12.34
    assert limit(project) == 12_340_000_000
    [outcome] = ask(example("aiCost.clearBudgetLimit", project), headers=headers)["outcomes"]
    assert outcome["data"] == {
        "projectId": str(project.pk),
        "budgetLimit": None,
        "budgetPct": None,
        "budgetState": None,
    }
    assert limit(project) is None


def test_an_ingest_token_checks_and_reserves_budget(ask: Any, project: Any, owner: Any) -> None:
    limits.set_limit(project, Decimal("0.4"), by=owner)
    headers = {"Authorization": f"Bearer {tokens.issue(owner, scope='ingest', project=project)[1]}"}
    check, reserve = (example(f"aiCost.{name}Budget", project) for name in ("check", "reserve"))
    standing = {"budgetLimit": 0.4, "spent": 0, "remaining": 0.4, "state": "green"}
    [free] = ask(check, headers=headers)["outcomes"]
    assert free["data"] == {**standing, "allowed": True, "reserved": 0}
    [held] = ask(reserve, headers=headers)["outcomes"]
    reservation = {"reservationId": "call/ü", "expiresAt": "2026-03-17T12:15:00Z"}
    assert held["data"] == {**standing, "allowed": True, "reserved": 0.25, **reservation}
    [taken] = ask(check, headers=headers)["outcomes"]
    assert taken["data"] == {**standing, "allowed": False, "reserved": 0.25}


def test_a_session_reads_and_changes_with_its_csrf_token(ask: Any, project: Any, owner: Any) -> None:
    headers = session(owner)
    [read] = ask(call(SUMMARY, project), headers=headers)["outcomes"]
    assert read["data"]["budgetLimit"] is None
    change = example("aiCost.setBudgetLimit", project)
    refused = the_error(ask(change, headers=headers))
    assert refused["data"]["code"] == "FORBIDDEN"
    assert "CSRF" in refused["message"]
    assert limit(project) is None
    [changed] = ask(change, headers=with_csrf(headers))["outcomes"]
    assert changed["data"]["budgetLimit"] == 12.34


def test_each_error_arrives_with_its_code(
    ask: Any, project: Any, owner: Any, viewer: Any, stranger: Any
) -> None:
    summary, change = call(SUMMARY, project), example("aiCost.setBudgetLimit", project)
    mine, large = bearer(owner, "write"), {"limitDollars": 1, "month": "x" * 3_000_000}
    cases: list[tuple[dict[str, Any], dict[str, str], str, int, int, str]] = [
        (summary, {}, "UNAUTHORIZED", 401, -32001, "Sign in"),
        (summary, {"Authorization": "Bearer nonsense"}, "UNAUTHORIZED", 401, -32001, "token is not valid"),
        (change, bearer(viewer, "write"), "FORBIDDEN", 403, -32003, "not change it"),
        (change, bearer(owner), "FORBIDDEN", 403, -32003, "scope read"),
        (summary, bearer(stranger), "NOT_FOUND", 404, -32004, "No such product."),
        (call("aiCost.getNothing"), mine, "NOT_FOUND", 404, -32004, '"aiCost.getNothing"'),
        (call(SUMMARY), mine, "BAD_REQUEST", 400, -32600, "input: "),
        (call(SUMMARY, project, month="2026-13"), mine, "BAD_REQUEST", 400, -32600, "month: "),
        (call(SUMMARY, project, mnth="2026-01"), mine, "BAD_REQUEST", 400, -32600, "mnth: "),
        (
            {**change, "input": {**change["input"], "limitDollars": 0}},
            mine,
            "BAD_REQUEST",
            400,
            -32600,
            "limitD",
        ),
        ({**summary, "kind": "mutation"}, mine, "METHOD_NOT_SUPPORTED", 405, -32005, "POST-request to query"),
        ({**change, "kind": "query"}, mine, "METHOD_NOT_SUPPORTED", 405, -32005, "GET-request to mutation"),
        (
            call("aiCost.setBudgetLimit", project, **large),
            mine,
            "PAYLOAD_TOO_LARGE",
            413,
            -32013,
            "too large",
        ),
    ]
    for made, headers, key, status, number, message in cases:
        error = the_error(ask(made, headers=headers))
        assert error["data"] == {"code": key, "httpStatus": status, "path": made["path"]}
        assert (error["code"], message in error["message"]) == (number, True), error


@pytest.mark.parametrize(
    ("raised", "key", "status"),
    [
        (RuntimeError("hunter2"), "INTERNAL_SERVER_ERROR", 500),
        (OperationalError("hunter2"), "SERVICE_UNAVAILABLE", 503),
    ],
)
def test_an_internal_error_reveals_no_details(
    ask: Any, project: Any, owner: Any, monkeypatch: Any, raised: Exception, key: str, status: int
) -> None:
    def fail(*_: Any) -> None:
        raise raised

    monkeypatch.setattr("aicost.queries.month_summary", fail)
    error = the_error(ask(call(SUMMARY, project), headers=bearer(owner)))
    assert error["data"] == {"code": key, "httpStatus": status, "path": SUMMARY}
    assert "hunter2" not in str(error)


def test_guessing_tokens_is_rate_limited(ask: Any, project: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("aicost.http.authentication.BAD_TOKENS_A_MINUTE", 1)
    codes = [
        the_error(ask(call(SUMMARY, project), headers={"Authorization": "Bearer guess"}))["data"]["code"]
        for _ in range(2)
    ]
    assert codes == ["UNAUTHORIZED", "TOO_MANY_REQUESTS"]


@pytest.mark.parametrize("client_name", BATCHING, indirect=True)
def test_the_calls_of_a_batch_fail_separately(
    ask: Any, client_name: str, busy: Any, other_project: Any, owner: Any
) -> None:
    calls = [
        call(SUMMARY, busy),
        call("aiCost.getNothing"),
        call("aiCost.getMonthlyTrend", other_project),
        call("aiCost.getDailySpend", busy, days=8),
        call("aiCost.getCrossProjectSummary"),
    ]
    answer = ask(*calls, headers=bearer(owner))
    codes = [one["error"]["data"]["code"] if "error" in one else None for one in answer["outcomes"]]
    assert codes == [None, "NOT_FOUND", "NOT_FOUND", "BAD_REQUEST", None]
    assert answer["outcomes"][0]["data"]["totalCost"] == 1.25
    [request] = answer["requests"]
    assert request["status"] == (200 if "Stream" in client_name else 207)


@pytest.mark.parametrize("client_name", BATCHING, indirect=True)
def test_a_batch_of_identical_errors_has_their_status(ask: Any, client_name: str, busy: Any) -> None:
    answer = ask(call(SUMMARY, busy), call("aiCost.getCrossProjectSummary"))
    assert [one["error"]["data"]["code"] for one in answer["outcomes"]] == ["UNAUTHORIZED"] * 2
    assert [one["status"] for one in answer["requests"]] == [200 if "Stream" in client_name else 401]


@pytest.mark.parametrize("client_name", BATCHING, indirect=True)
def test_a_batch_over_the_limit_fails_as_a_whole(ask: Any, busy: Any, owner: Any) -> None:
    calls = [call(SUMMARY, busy)] * (settings.RPC_MAX_BATCH + 1)
    answer = ask(*calls, headers=bearer(owner))
    assert {one["error"]["data"]["code"] for one in answer["outcomes"]} == {"BAD_REQUEST"}
    assert len(answer["outcomes"]) == len(calls)
    assert [one["status"] for one in answer["requests"]] == [400]


@pytest.mark.parametrize("client_name", BATCHING, indirect=True)
def test_clients_that_split_their_batches_get_every_result(ask: Any, busy: Any, owner: Any) -> None:
    calls = [call("aiCost.getDailySpend", busy, days=days) for days in (7, 14, 30, 90)]
    answer = ask(*calls, headers=bearer(owner), maxURLLength=250)
    assert [len(one["data"]) for one in answer["outcomes"]] == [7, 14, 30, 90]
    assert len(answer["requests"]) > 1


@pytest.mark.parametrize("client_name", ["11 httpLink", "11 httpBatchLink"], indirect=True)
def test_queries_by_post_are_refused(ask: Any, busy: Any, owner: Any) -> None:
    error = the_error(ask(call(SUMMARY, busy), headers=bearer(owner), methodOverride="POST"))
    assert error["data"]["code"] == "METHOD_NOT_SUPPORTED"
