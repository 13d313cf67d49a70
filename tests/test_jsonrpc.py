"""JSON-RPC 2.0: every example of section 7 of its specification, and every kind of error."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError
from django.test import Client

from aicost.api.procedures import PROCEDURES
from billing.budgets import limits
from products import tokens
from products.access import Caller
from tests.factories import usage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

SUMMARY, DAILY = "aiCost.getMonthlySummary", "aiCost.getDailySpend"
SET, CROSS = "aiCost.setBudgetLimit", "aiCost.getCrossProjectSummary"


@pytest.fixture
def post(owner: Any) -> Callable[..., Any]:
    """POST a text, or a value as JSON, with the owner's token. Returns the response."""
    token = tokens.issue(owner, scope="write")[1]

    def sent(body: Any, type: str = "application/json", **headers: str) -> Any:
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        sent = {"Authorization": f"Bearer {token}", **headers}
        return Client().post("/api/rpc", text, type, headers={k: v for k, v in sent.items() if v})

    return sent


@pytest.fixture
def ask(post: Any) -> Callable[..., Any]:
    """POST and return the parsed response; None if it is empty, as for notifications."""

    def asked(body: Any, **headers: str) -> Any:
        response = post(body, **headers)
        if response.status_code == 204:
            assert response.content == b""
            return None
        assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
        return response.json()

    return asked


@pytest.fixture
def mine(project: Any) -> str:
    usage(project, costDollars="1.25", inputTokens=100)
    return str(project.pk)


def request(method: Any, params: Any = ..., id: Any = 1) -> dict[str, Any]:
    """A request object; with the id `...` a notification."""
    members = {"jsonrpc": "2.0", "method": method, "params": params, "id": id}
    return {name: value for name, value in members.items() if value is not ...}


def error(code: int, id: Any = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "code": code, "id": id}


def code(answer: Any) -> Any:
    """An error response without its message, which must not be empty."""
    assert set(answer) == {"jsonrpc", "error", "id"}
    assert set(answer["error"]) == {"code", "message"}
    assert answer["error"]["message"]
    return error(answer["error"]["code"], answer["id"])


def limit(project: Any) -> int | None:
    return limits.limits_now([project]).get(project.pk)


# The examples of section 7, in order, with this product's procedures.


def test_call_with_positional_parameters(ask: Any, mine: str, owner: Any) -> None:
    seven = PROCEDURES[DAILY].call(Caller(owner), {"projectId": mine, "days": 7})
    february = PROCEDURES[DAILY].call(Caller(owner), {"projectId": mine, "days": 7, "month": "2026-02"})
    assert ask(request(DAILY, [mine, 7], 1)) == {"jsonrpc": "2.0", "result": seven, "id": 1}
    assert ask(request(DAILY, [mine, 7, "2026-02"], 2)) == {"jsonrpc": "2.0", "result": february, "id": 2}
    assert seven != february


def test_call_with_named_parameters_in_any_order(ask: Any, mine: str) -> None:
    first = ask(request(DAILY, {"projectId": mine, "days": 7}, 3))
    second = ask(request(DAILY, {"days": 7, "projectId": mine}, 4))
    assert (first["id"], second["id"]) == (3, 4)
    assert first["result"] == second["result"]
    assert sum(day["cost"] for day in first["result"]) == 1.25


def test_a_notification_takes_effect_without_a_response(ask: Any, mine: str, project: Any) -> None:
    assert ask(request(SET, [mine, 12.5], ...)) is None
    assert limit(project) == 12_500_000_000
    assert ask(request("foobar", id=...)) is None


def test_call_of_a_method_that_does_not_exist(ask: Any) -> None:
    assert code(ask(request("foobar", id="1"))) == error(-32601, "1")


def test_call_with_invalid_json(ask: Any) -> None:
    assert code(ask('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]')) == error(-32700)


def test_call_with_an_invalid_request_object(ask: Any) -> None:
    assert code(ask('{"jsonrpc": "2.0", "method": 1, "params": "bar"}')) == error(-32600)


def test_batch_with_invalid_json(ask: Any) -> None:
    first = json.dumps(request(CROSS, id="1"))
    assert code(ask(f'[{first}, {{"jsonrpc": "2.0", "method"]')) == error(-32700)


def test_call_with_an_empty_array(ask: Any) -> None:
    assert code(ask([])) == error(-32600)


def test_invalid_batch_of_one(ask: Any) -> None:
    assert list(map(code, ask([1]))) == [error(-32600)]


def test_invalid_batch(ask: Any) -> None:
    assert list(map(code, ask([1, 2, 3]))) == [error(-32600)] * 3


def test_mixed_batch(ask: Any, mine: str, project: Any) -> None:
    answers = ask(
        [
            request(DAILY, [mine, 7], "1"),
            request(SET, [mine, 5], ...),
            request(SUMMARY, [mine], "2"),
            {"foo": "boo"},
            request("foo.get", {"name": "myself"}, "5"),
            request(CROSS, id="9"),
        ]
    )
    assert [answer["id"] for answer in answers] == ["1", "2", None, "5", "9"]
    daily, summary, invalid, unknown, cross = answers
    assert len(daily["result"]) == 7
    assert summary["result"]["budgetLimit"] == 5  # the notification before it has taken effect
    assert code(invalid) == error(-32600)
    assert code(unknown) == error(-32601, "5")
    assert cross["result"]["totalCost"] == 1.25


def test_a_batch_of_notifications_has_no_response(ask: Any, mine: str, project: Any) -> None:
    assert ask([request(SET, [mine, 3], ...), request(SET, [mine, 4], ...)]) is None
    assert limit(project) == 4_000_000_000


# Requests


def test_every_procedure_can_be_called(ask: Any, mine: str) -> None:
    needed = {"projectId": mine, "limitDollars": 9.99, "days": 30, "estimateDollars": 0.01}
    for name, procedure in PROCEDURES.items():
        fields = procedure.input.model_json_schema()["required"] if procedure.input else []
        answer = ask(request(name, {field: needed[field] for field in fields}))
        assert set(answer) == {"jsonrpc", "result", "id"}, answer


@pytest.mark.parametrize("id_", ["", "a", "ü\0", "\ud800", 0, -1, 2**53 + 1, 10**30, 1.5, None])
def test_an_id_is_returned_unchanged(ask: Any, id_: Any) -> None:
    for body in (request(CROSS, id=id_), request("foobar", id=id_), request(SUMMARY, [], id_)):
        [answer] = ask([body])
        assert (answer["id"], type(answer["id"])) == (id_, type(id_))


@pytest.mark.parametrize("id_", ["true", "[]", "{}", "1e400"])
def test_an_invalid_id_is_not_returned(ask: Any, id_: str) -> None:
    body = f'{{"jsonrpc": "2.0", "method": "{CROSS}", "id": {id_}}}'
    assert code(ask(body)) == error(-32600)


@pytest.mark.parametrize(
    ("changed", "id_"),
    [
        ({"jsonrpc": "1.0"}, 1),
        ({"jsonrpc": 2.0}, 1),
        ({"jsonrpc": ...}, 1),
        ({"method": None}, 1),
        ({"method": ...}, 1),
        ({"method": [CROSS]}, 1),
        ({"params": "x"}, 1),
        ({"params": None}, 1),
        ({"params": 5}, 1),
        ({"jsonrpc": "1.0", "id": {}}, None),
    ],
)
def test_the_response_to_an_invalid_request_has_its_id_if_valid(ask: Any, changed: Any, id_: Any) -> None:
    body = {name: value for name, value in {**request(CROSS), **changed}.items() if value is not ...}
    assert code(ask(body)) == error(-32600, id_)


def test_an_invalid_request_without_an_id_gets_a_response(ask: Any) -> None:
    assert code(ask({"jsonrpc": "2.0", "method": 1})) == error(-32600)


@pytest.mark.parametrize("body", ["null", "1", '"x"', "true", "{}"])
def test_json_that_is_not_a_request(ask: Any, body: str) -> None:
    assert code(ask(body)) == error(-32600)


@pytest.mark.parametrize(
    "body",
    [b" ", b"{", b"NaN", b'{"id": NaN}', b"\xff", b"[" * 5000 + b"]" * 5000, "{}".encode("utf-16"), b"{} {}"],
)
def test_invalid_json(ask: Any, body: bytes) -> None:
    assert code(ask(body)) == error(-32700)


def test_unknown_members_are_ignored(ask: Any) -> None:
    assert "result" in ask({**request(CROSS), "trace": "x"})


@pytest.mark.parametrize("params", [..., [], {}, [1, 2], {"x": 1}])
def test_a_procedure_without_input_ignores_what_is_sent(ask: Any, params: Any) -> None:
    assert "result" in ask(request(CROSS, params))


def test_the_batch_limit_is_configurable(ask: Any, settings: Any) -> None:
    most = [request(CROSS, id=number) for number in range(settings.RPC_MAX_BATCH)]
    assert [answer["id"] for answer in ask(most)] == list(range(settings.RPC_MAX_BATCH))
    refused = ask([*most, request(CROSS)])
    assert code(refused) == error(-32600)
    assert str(settings.RPC_MAX_BATCH) in refused["error"]["message"]


def test_a_batch_over_the_limit_has_no_effect(ask: Any, mine: str, project: Any) -> None:
    ask([request(SET, [mine, 1], ...)] * (settings.RPC_MAX_BATCH + 1))
    assert limit(project) is None


# Errors


@pytest.mark.parametrize(
    ("params", "field"),
    [
        (..., "projectId"),
        ([], "projectId"),
        ([1], "projectId"),
        (["{mine}", "2026-13"], "month"),
        (["{mine}", "2026-01", 1], "params"),
        ({"projectId": "{mine}", "month": None}, "month"),
        ({"projectId": "{mine}", "mnth": "2026-01"}, "mnth"),
    ],
)
def test_invalid_params_name_the_field(ask: Any, mine: str, params: Any, field: str) -> None:
    body = json.dumps(request(SUMMARY, params)).replace("{mine}", mine)
    answer = ask(body)
    assert code(answer) == error(-32602, 1)
    assert answer["error"]["message"].startswith(f"{field}: ")


def test_an_unauthenticated_caller_is_unauthorized(ask: Any, mine: str) -> None:
    assert code(ask(request(SUMMARY, [mine]), Authorization="")) == error(-32001, 1)
    assert code(ask(request(SUMMARY, [mine]), Authorization="Bearer x")) == error(-32001, 1)
    assert code(ask(request("foobar"), Authorization="")) == error(-32601, 1)


def test_a_viewer_is_forbidden_to_change_things(ask: Any, mine: str, project: Any, viewer: Any) -> None:
    token = f"Bearer {tokens.issue(viewer, scope='write')[1]}"
    assert "result" in ask(request(SUMMARY, [mine]), Authorization=token)
    assert code(ask(request(SET, [mine, 5]), Authorization=token)) == error(-32003, 1)
    assert ask(request(SET, [mine, 5], ...), Authorization=token) is None
    assert limit(project) is None


def test_a_product_of_others_is_not_found_like_a_missing_one(ask: Any, other_project: Any) -> None:
    theirs, none = (ask(request(SUMMARY, [id_])) for id_ in (str(other_project.pk), "987654"))
    assert code(theirs) == error(-32004, 1)
    assert theirs == none


def test_guessing_tokens_is_rate_limited(ask: Any, monkeypatch: Any, mine: str) -> None:
    monkeypatch.setattr("aicost.http.authentication.BAD_TOKENS_A_MINUTE", 0)
    assert code(ask(request(SUMMARY, [mine]), Authorization="Bearer guess")) == error(-32029, 1)


@pytest.mark.parametrize(
    ("raised", "number"), [(RuntimeError("hunter2"), -32603), (OperationalError("hunter2"), -32000)]
)
def test_an_internal_error_reveals_no_details(
    ask: Any, mine: str, monkeypatch: Any, raised: Exception, number: int
) -> None:
    def fail(*_: Any) -> None:
        raise raised

    monkeypatch.setattr("aicost.queries.month_summary", fail)
    [failed, fine] = ask([request(SUMMARY, [mine]), request(CROSS, id=2)])
    assert code(failed) == error(number, 1)
    assert "hunter2" not in str(failed)
    assert "result" in fine


# HTTP


def test_a_session_needs_its_csrf_token_for_changes(owner: Any, mine: str, project: Any) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(owner)
    body = json.dumps([request(SET, [mine, 5], 1), request(SUMMARY, [mine], 2)])
    refused, read = browser.post("/api/rpc", body, "application/json").json()
    assert code(refused) == error(-32003, 1)
    assert read["result"]["budgetLimit"] is None
    browser.cookies[settings.CSRF_COOKIE_NAME] = "x" * 32
    headers = {"X-CSRFToken": "x" * 32}
    changed, read = browser.post("/api/rpc", body, "application/json", headers=headers).json()
    assert changed["result"]["budgetLimit"] == read["result"]["budgetLimit"] == 5


@pytest.mark.parametrize("method", ["get", "head", "put", "delete", "patch", "options"])
def test_only_post_is_allowed(method: str) -> None:
    response = getattr(Client(), method)("/api/rpc")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert method == "head" or code(response.json()) == error(-32600)


@pytest.mark.parametrize(
    "type_", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_other_media_types_are_refused(post: Any, type_: str) -> None:
    response = post(request(CROSS), type_)
    assert response.status_code == 415
    assert code(response.json()) == error(-32600)


@pytest.mark.parametrize(
    "type_", ["application/json; charset=utf-8", "Application/JSON", "application/json ;x=y"]
)
def test_the_media_type_may_have_parameters_and_capitals(post: Any, type_: str) -> None:
    assert "result" in post(request(CROSS), type_).json()


def test_an_oversized_request_is_refused(post: Any, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    response = post(request(CROSS, ["x" * 1000]))
    assert response.status_code == 413
    assert code(response.json()) == error(-32600)


def test_responses_are_not_cacheable(post: Any) -> None:
    for body in (request(CROSS), request("foobar"), "{"):
        assert post(body).headers["Cache-Control"] == "no-store"
