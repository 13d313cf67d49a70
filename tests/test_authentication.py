"""Authentication and authorization: one table of every procedure, caller and transport."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from django.core.cache import cache
from django.test import Client

from aicost.api.procedures import PROCEDURES
from aicost.http.authentication import BAD_TOKENS_A_MINUTE
from aicost.http.request_log import REQUEST_ID
from billing.budgets import limits
from billing.models import BudgetReservation
from products import tokens
from products.models import ApiToken, Membership, Project
from tests.calls import OK, READ, SEND, call, jsonrpc, strict, trpc
from tests.conftest import NOW
from tests.factories import PASSWORD, ProjectFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock"), pytest.mark.once]

TRANSPORTS = ["trpc", "jsonrpc"]
UNAUTHORIZED, FORBIDDEN, NOT_FOUND = "UNAUTHORIZED", "FORBIDDEN", "NOT_FOUND"

# The procedures by the right they need, with example input.
READS: dict[str, dict[str, Any]] = {
    "aiCost.getMonthlySummary": {},
    "aiCost.getMonthlyTrend": {},
    "aiCost.getRecentTransactions": {"month": "2026-03"},
    "aiCost.getDailySpend": {"days": 7},
}
CHANGES: dict[str, dict[str, Any]] = {
    "aiCost.setBudgetLimit": {"limitDollars": 250},
    "aiCost.clearBudgetLimit": {},
}
# Ingest tokens may call these, too.
ASKS: dict[str, dict[str, Any]] = {"aiCost.checkBudget": {"estimateDollars": 1}}
RESERVES: dict[str, dict[str, Any]] = {"aiCost.reserveBudget": {"estimateDollars": 1}}
OF_A_PRODUCT = {**READS, **ASKS, **CHANGES, **RESERVES}
OWNED = "aiCost.getCrossProjectSummary"


@dataclass
class Caller:
    """A client, and the headers that it sends with each call."""

    client: Client
    headers: dict[str, str] = field(default_factory=dict)


@pytest.fixture(autouse=True)
def no_bad_tokens_yet() -> None:
    cache.clear()


@pytest.fixture
def lantern(owner: Any) -> Project:
    """The owner's second product, which nobody has joined."""
    return ProjectFactory(name="Lantern", owner=owner)


@pytest.fixture
def cast(
    project: Project,
    lantern: Project,
    owner: Any,
    manager: Any,
    viewer: Any,
    stranger: Any,
    staff: Any,
    superuser: Any,
) -> "Cast":
    users = (owner, manager, viewer, stranger, staff, superuser)
    return Cast(project, lantern, {user.username: user for user in users})


@dataclass
class Cast:
    """Creates the callers that the table describes."""

    project: Project
    lantern: Project
    users: dict[str, Any]

    def caller(self, description: str) -> Caller:
        """For descriptions such as `owner: session + csrf` or `owner: read token for Lantern, revoked`."""
        name, _, means = description.partition(": ")
        return self.by_session(name, means) if means.startswith("session") else self.by_header(name, means)

    def by_session(self, who: str, means: str) -> Caller:
        client, headers = signed_in(self.users[who])
        if "token of" in means:
            kind, _, other = means.removeprefix("session and ").partition(" token of ")
            return Caller(client, bearer(self.token(other, kind)))
        if "bad token" in means:
            return Caller(client, {**headers, **bearer("aicost_" + "x" * 43)})
        return Caller(client, headers if "csrf" in means else {})

    def by_header(self, who: str, means: str) -> Caller:
        if who == "anonymous":
            return Caller(strict_client(), {"Authorization": means} if means else {})
        means, _, fate = means.partition(", ")
        kind, _, place = means.partition(" token")
        text = self.token(who, kind, {"": None, " here": self.project, " for Lantern": self.lantern}[place])
        self.change_after(who, fate)
        return Caller(strict_client(), bearer(text))

    def token(self, who: str, scope: str, project: Project | None = None) -> str:
        return tokens.issue(
            self.users[who], scope=scope, project=project, expires_at=NOW + timedelta(hours=1)
        )[1]

    def change_after(self, who: str, fate: str) -> None:
        """What happens after the token was created."""
        user, members = self.users[who], Membership.objects.filter(user=self.users[who])
        match fate:
            case "revoked":
                tokens.revoke(ApiToken.objects.get())
            case "expired":
                ApiToken.objects.update(expires_at=NOW)
            case "removed":
                members.delete()
            case "demoted":
                members.update(role="viewer")
            case "inactive":
                user.is_active = False
                user.save()
            case "":
                pass
            case _:
                raise AssertionError(fate)


def strict_client() -> Client:
    return Client(enforce_csrf_checks=True)


def signed_in(user: Any) -> tuple[Client, dict[str, str]]:
    """A browser that signed in by the form, and the CSRF header that its scripts send."""
    client = strict_client()
    client.get("/sign-in/")
    form = {"username": user.username, "password": PASSWORD, "csrfmiddlewaretoken": csrf(client)}
    assert client.post("/sign-in/", form).status_code == 302
    return client, {"X-CSRFToken": csrf(client)}


def csrf(client: Client) -> str:
    return client.cookies["csrftoken"].value


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


# Caller and credentials → the code of reading Lighthouse, the code of changing it, and the names of
# the products in the caller's cross-project summary. Lighthouse and Lantern are the owner's.
BOTH, HERE, LANTERN, NONE = ["Lantern", "Lighthouse"], ["Lighthouse"], ["Lantern"], []
TABLE: dict[str, tuple[str, str, Any]] = {
    "anonymous: ": (UNAUTHORIZED, UNAUTHORIZED, UNAUTHORIZED),
    "anonymous: Bearer aicost_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA": (
        UNAUTHORIZED,
        UNAUTHORIZED,
        UNAUTHORIZED,
    ),
    "anonymous: Bearer": (UNAUTHORIZED, UNAUTHORIZED, UNAUTHORIZED),
    "anonymous: Basic b3duZXI6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ==": (
        UNAUTHORIZED,
        UNAUTHORIZED,
        UNAUTHORIZED,
    ),
    # A session may read; changes also need a CSRF token.
    "stranger: session": (NOT_FOUND, FORBIDDEN, NONE),
    "viewer: session": (OK, FORBIDDEN, NONE),
    "manager: session": (OK, FORBIDDEN, NONE),
    "owner: session": (OK, FORBIDDEN, BOTH),
    "staff: session": (NOT_FOUND, FORBIDDEN, NONE),
    "superuser: session": (OK, FORBIDDEN, NONE),
    "stranger: session + csrf": (NOT_FOUND, NOT_FOUND, NONE),
    "viewer: session + csrf": (OK, FORBIDDEN, NONE),
    "manager: session + csrf": (OK, OK, NONE),
    "owner: session + csrf": (OK, OK, BOTH),
    "staff: session + csrf": (NOT_FOUND, NOT_FOUND, NONE),
    "superuser: session + csrf": (OK, FORBIDDEN, NONE),
    # A token needs the scope, and its user the role.
    "stranger: read token": (NOT_FOUND, NOT_FOUND, NONE),
    "viewer: read token": (OK, FORBIDDEN, NONE),
    "manager: read token": (OK, FORBIDDEN, NONE),
    "owner: read token": (OK, FORBIDDEN, BOTH),
    "staff: read token": (NOT_FOUND, NOT_FOUND, NONE),
    "superuser: read token": (OK, FORBIDDEN, NONE),
    "stranger: write token": (NOT_FOUND, NOT_FOUND, NONE),
    "viewer: write token": (OK, FORBIDDEN, NONE),
    "manager: write token": (OK, OK, NONE),
    "owner: write token": (OK, OK, BOTH),
    "staff: write token": (NOT_FOUND, NOT_FOUND, NONE),
    "superuser: write token": (OK, FORBIDDEN, NONE),
    "owner: ingest token here": (FORBIDDEN, FORBIDDEN, FORBIDDEN),
    "manager: ingest token here": (FORBIDDEN, FORBIDDEN, FORBIDDEN),
    # For a token limited to one product, no other product exists.
    "owner: read token here": (OK, FORBIDDEN, HERE),
    "owner: write token here": (OK, OK, HERE),
    "manager: write token here": (OK, OK, NONE),
    "viewer: write token here": (OK, FORBIDDEN, NONE),
    "superuser: write token here": (OK, FORBIDDEN, NONE),
    "owner: read token for Lantern": (NOT_FOUND, NOT_FOUND, LANTERN),
    "owner: write token for Lantern": (NOT_FOUND, NOT_FOUND, LANTERN),
    "owner: ingest token for Lantern": (NOT_FOUND, NOT_FOUND, FORBIDDEN),
    "superuser: read token for Lantern": (NOT_FOUND, NOT_FOUND, NONE),
    # Changes after the token was created.
    "owner: write token, revoked": (UNAUTHORIZED, UNAUTHORIZED, UNAUTHORIZED),
    "owner: write token here, revoked": (UNAUTHORIZED, UNAUTHORIZED, UNAUTHORIZED),
    "owner: write token, expired": (UNAUTHORIZED, UNAUTHORIZED, UNAUTHORIZED),
    "owner: write token, inactive": (UNAUTHORIZED, UNAUTHORIZED, UNAUTHORIZED),
    "superuser: read token, inactive": (UNAUTHORIZED, UNAUTHORIZED, UNAUTHORIZED),
    "manager: write token, removed": (NOT_FOUND, NOT_FOUND, NONE),
    "manager: write token here, removed": (NOT_FOUND, NOT_FOUND, NONE),
    "manager: ingest token here, removed": (NOT_FOUND, NOT_FOUND, FORBIDDEN),
    "viewer: read token, removed": (NOT_FOUND, NOT_FOUND, NONE),
    "manager: write token, demoted": (OK, FORBIDDEN, NONE),
    "manager: write token here, demoted": (OK, FORBIDDEN, NONE),
    "manager: ingest token here, demoted": (FORBIDDEN, FORBIDDEN, FORBIDDEN),
    # A token takes precedence over the session.
    "stranger: session and write token of owner": (OK, OK, BOTH),
    "owner: session and write token of viewer": (OK, FORBIDDEN, NONE),
    "owner: session and read token of stranger": (NOT_FOUND, NOT_FOUND, NONE),
    "owner: session and bad token": (UNAUTHORIZED, UNAUTHORIZED, UNAUTHORIZED),
}


def test_the_access_table_covers_every_procedure() -> None:
    assert {*OF_A_PRODUCT, OWNED} == set(PROCEDURES)
    assert {*CHANGES, *RESERVES} == {name for name, one in PROCEDURES.items() if one.kind == "mutation"}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("description", TABLE)
def test_the_access_table(cast: Cast, description: str, transport: str) -> None:
    reading, changing, owned = TABLE[description]
    brings_usage = "ingest token here" in description
    asking = OK if brings_usage and reading == FORBIDDEN else reading
    reserving = OK if brings_usage and changing == FORBIDDEN and "demoted" not in description else changing
    caller = cast.caller(description)
    limits.set_limit(cast.project, Decimal(100), by=cast.users["owner"])

    def code(name: str, given: dict[str, Any]) -> str:
        target = {"projectId": str(cast.project.pk), **given}
        return call(caller.client, transport, name, target, **caller.headers).code

    assert {name: code(name, given) for name, given in READS.items()} == dict.fromkeys(READS, reading)
    assert {name: code(name, given) for name, given in ASKS.items()} == dict.fromkeys(ASKS, asking)
    assert {name: code(name, given) for name, given in RESERVES.items()} == dict.fromkeys(RESERVES, reserving)
    assert BudgetReservation.objects.count() == (reserving == OK)
    assert {name: code(name, given) for name, given in CHANGES.items()} == dict.fromkeys(CHANGES, changing)
    left = {} if changing == OK else {cast.project.pk: 100 * 10**9}
    assert limits.limits_now([cast.project]) == left
    result = call(caller.client, transport, OWNED, **caller.headers)
    assert owned == ([one["name"] for one in result.data["projects"]] if result.code == OK else result.code)


# ---- Strangers


ODD_IDS = ("4711", "0", "-1", "", "abc", "9" * 30, "1\0", "x" * 100_000)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("means", ["session + csrf", "write token", "write token for Lantern"])
@pytest.mark.parametrize("name", OF_A_PRODUCT)
def test_a_product_of_others_is_answered_like_a_missing_one(
    cast: Cast, name: str, means: str, transport: str
) -> None:
    caller = cast.caller(f"{'owner' if 'Lantern' in means else 'stranger'}: {means}")

    def answer(project_id: str) -> Any:
        given = {"projectId": project_id, **OF_A_PRODUCT[name]}
        return SEND[transport](caller.client, name, given, **caller.headers)

    theirs = answer(str(cast.project.pk))
    assert READ[transport](theirs).code == NOT_FOUND
    for odd in ODD_IDS:
        absent = answer(odd)
        assert (absent.status_code, absent.content) == (theirs.status_code, theirs.content)
        assert without_id(absent.headers) == without_id(theirs.headers)


def without_id(headers: Any) -> dict[str, str]:
    """What is the same for the same request: each has an id of its own."""
    return {name: value for name, value in headers.items() if name != REQUEST_ID}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_stranger_does_not_learn_the_current_month_of_a_product(cast: Cast, transport: str) -> None:
    caller = cast.caller("stranger: read token")
    for month in ("2999-01", "nonsense", ""):
        given = {"projectId": str(cast.project.pk), "month": month}
        result = call(caller.client, transport, "aiCost.getMonthlySummary", given, **caller.headers)
        assert result.code == NOT_FOUND


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("key", ['"aaaaaaaaaaaa\\000"', "x" * 5_000, "", "ü" * 32, '"; DROP TABLE"'])
def test_an_invalid_session_cookie_is_unauthenticated(key: str, transport: str) -> None:
    client = Client(headers={"Cookie": f"sessionid={key}"})
    assert call(client, transport, OWNED).code == UNAUTHORIZED
    assert client.get("/").status_code == 302


# ---- CSRF


SET, CLEAR = "aiCost.setBudgetLimit", "aiCost.clearBudgetLimit"


@pytest.fixture
def browser(cast: Cast) -> Caller:
    """The owner's, with the header that changes things."""
    return cast.caller("owner: session + csrf")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-CSRFToken": ""},
        {"X-CSRFToken": "x" * 32},
        {"X-CSRFToken": "x" * 64},
        {"X-CSRFToken": "ü\n"},
        {"X-CSRF-Token": "right"},
        {"X-CSRFToken": "right", "Origin": "https://elsewhere.example"},
        {"X-CSRFToken": "right", "Origin": "null"},
    ],
)
def test_a_change_by_session_needs_a_valid_csrf_token_and_origin(
    browser: Caller, project: Project, headers: dict[str, str], transport: str
) -> None:
    sent = {name: csrf(browser.client) if value == "right" else value for name, value in headers.items()}
    given = {"projectId": str(project.pk), "limitDollars": 5}
    result = call(browser.client, transport, SET, given, **sent)
    assert result.code == FORBIDDEN
    assert "CSRF" in result.message
    assert limits.limits_now([project]) == {}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_csrf_token_of_another_browser_is_wrong(cast: Cast, browser: Caller, transport: str) -> None:
    foreign = cast.caller("viewer: session + csrf").headers
    given = {"projectId": str(cast.project.pk)}
    assert call(browser.client, transport, CLEAR, given, **foreign).code == FORBIDDEN


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_change_by_session_needs_the_csrf_cookie(cast: Cast, browser: Caller, transport: str) -> None:
    del browser.client.cookies["csrftoken"]
    given = {"projectId": str(cast.project.pk)}
    assert call(browser.client, transport, CLEAR, given, **browser.headers).code == FORBIDDEN


def test_a_batch_of_mutations_without_the_csrf_token_changes_nothing(
    browser: Caller, project: Project
) -> None:
    given = {"projectId": str(project.pk), "limitDollars": 5}
    body = {str(position): given for position in range(3)}
    response = browser.client.post(
        f"/api/trpc/{SET},{SET},{SET}?batch=1", body, content_type="application/json"
    )
    assert response.status_code == 403
    assert {one["error"]["data"]["code"] for one in response.json()} == {FORBIDDEN}
    assert limits.limits_now([project]) == {}


def test_only_the_mutations_of_a_jsonrpc_batch_need_the_csrf_token(browser: Caller, project: Project) -> None:
    given = {"projectId": str(project.pk)}
    request = {"jsonrpc": "2.0", "id": 1, "params": given}
    batch = [{**request, "method": CLEAR}, {**request, "method": "aiCost.getMonthlyTrend"}]
    response = browser.client.post("/api/rpc", batch, content_type="application/json")
    assert [list(one)[1] for one in response.json()] == ["error", "result"]
    batch = [{**batch[0], "method": SET, "params": {**given, "limitDollars": limit}} for limit in (5, 6)]
    response = browser.client.post(
        "/api/rpc", batch, content_type="application/json", headers=browser.headers
    )
    assert [one["result"]["budgetLimit"] for one in response.json()] == [5, 6]


def test_a_notification_by_session_needs_the_csrf_token(browser: Caller, project: Project) -> None:
    body = {"jsonrpc": "2.0", "method": SET, "params": [str(project.pk), 5]}
    post = browser.client.post
    assert post("/api/rpc", body, content_type="application/json").status_code == 204
    assert limits.limits_now([project]) == {}
    post("/api/rpc", body, content_type="application/json", headers=browser.headers)
    assert limits.limits_now([project]) == {project.pk: 5 * 10**9}


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"]
)
def test_a_form_on_another_site_can_change_nothing(
    browser: Caller, project: Project, content_type: str
) -> None:
    given = f'{{"projectId": "{project.pk}", "limitDollars": 5}}'
    request = f'{{"jsonrpc": "2.0", "id": 1, "method": "{SET}", "params": {given}}}'
    for address, body in (("/api/rpc", request), (f"/api/trpc/{SET}", given)):
        response = browser.client.generic(
            "POST", address, body, content_type=content_type, headers=browser.headers
        )
        assert response.status_code in (400, 415)
    assert limits.limits_now([project]) == {}


def test_a_get_never_changes_anything(browser: Caller, project: Project) -> None:
    given = quote(f'{{"projectId": "{project.pk}", "limitDollars": 5}}')
    response = browser.client.get(f"/api/trpc/{SET}?input={given}", headers=browser.headers)
    assert response.status_code == 405
    assert limits.limits_now([project]) == {}


# ---- Tokens


def read(client: Client, project: Project, text: str, **headers: str) -> Any:
    return trpc(client, "aiCost.getMonthlyTrend", {"projectId": str(project.pk)}, **bearer(text), **headers)


def test_last_used_is_updated_at_most_once_an_hour(
    project: Project, owner: Any, clock: Any, django_assert_num_queries: Any
) -> None:
    token, text = tokens.issue(owner)

    def last_use() -> Any:
        assert read(Client(), project, text).status_code == 200
        return ApiToken.objects.values_list("last_used_at", flat=True).get(pk=token.pk)

    assert last_use() == NOW
    clock.shift(timedelta(minutes=59, seconds=59))
    assert last_use() == NOW
    clock.shift(timedelta(seconds=1))
    assert last_use() == NOW + timedelta(hours=1)
    with django_assert_num_queries(2):  # the token with its user, and the product; the trend is cached
        read(Client(), project, text)


@pytest.mark.parametrize("header", ["bearer {}", "BEARER {}", "Bearer  {} ", "Bearer%20{}"])
def test_the_bearer_scheme_ignores_case_and_how_the_space_is_written(
    project: Project, owner: Any, header: str
) -> None:
    headers = {"Authorization": header.format(tokens.issue(owner)[1])}
    given = {"projectId": str(project.pk)}
    assert call(Client(), "trpc", "aiCost.getMonthlyTrend", given, **headers).code == OK


def test_a_token_in_the_url_is_ignored(project: Project, owner: Any) -> None:
    text = tokens.issue(owner)[1]
    given = quote(f'{{"projectId": "{project.pk}"}}')
    address = f"/api/trpc/aiCost.getMonthlyTrend?input={given}&access_token={text}&token={text}"
    assert Client().get(address).status_code == 401


def bad_token(client: Client, transport: str, number: int = 0, **headers: str) -> Any:
    text = f"aicost_{number:043}"
    return SEND[transport](client, OWNED, **bearer(text), **headers)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_guessing_tokens_is_rate_limited_but_valid_tokens_pass(
    project: Project, owner: Any, clock: Any, transport: str
) -> None:
    _, good = tokens.issue(owner)

    def code_of(number: int, **headers: str) -> str:
        return READ[transport](bad_token(Client(), transport, number, **headers)).code

    assert [code_of(number) for number in range(BAD_TOKENS_A_MINUTE)] == [UNAUTHORIZED] * BAD_TOKENS_A_MINUTE
    assert code_of(20) == "TOO_MANY_REQUESTS"
    assert read(Client(), project, good).status_code == 200
    assert READ[transport](bad_token(Client(REMOTE_ADDR="192.0.2.7"), transport)).code == UNAUTHORIZED
    clock.shift(timedelta(seconds=59))
    assert code_of(21) == "TOO_MANY_REQUESTS"
    clock.shift(timedelta(seconds=2))
    assert code_of(22) == UNAUTHORIZED, "a minute after the first"


def test_a_rate_limited_caller_gets_retry_after() -> None:
    answers = [bad_token(Client(), "trpc", number) for number in range(BAD_TOKENS_A_MINUTE + 1)]
    assert not any("Retry-After" in answer for answer in answers[:-1])
    assert (answers[-1].status_code, answers[-1]["Retry-After"]) == (429, "60")


def test_a_batch_with_a_bad_token_counts_once() -> None:
    path = ",".join([OWNED] * 50)
    response = Client().get(f"/api/trpc/{path}?batch=1", headers=bearer("aicost_" + "x" * 43))
    assert response.status_code == 401
    request = {"jsonrpc": "2.0", "id": 1, "method": OWNED}
    response = Client().post("/api/rpc", [request] * 50, content_type="application/json", headers=bearer("x"))
    assert {one["error"]["code"] for one in response.json()} == {-32001}
    assert READ["trpc"](bad_token(Client(), "trpc")).code == UNAUTHORIZED


def test_calls_without_a_token_are_never_rate_limited() -> None:
    codes = {call(Client(), "trpc", OWNED).code for _ in range(BAD_TOKENS_A_MINUTE + 5)}
    assert codes == {UNAUTHORIZED}


# ---- The log


@pytest.fixture
def denials(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.DEBUG)
    return lambda: [record.getMessage() for record in caplog.records if record.name == "aicost.access"]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    "description",
    [
        "anonymous: ",
        "stranger: session + csrf",
        "viewer: write token",
        "owner: session",
        "owner: ingest token here",
    ],
)
def test_every_denial_is_logged_on_one_line_with_caller_and_procedure(
    cast: Cast, denials: Callable[[], list[str]], description: str, transport: str
) -> None:
    caller = cast.caller(description)
    given = {"projectId": str(cast.project.pk), "limitDollars": 1}
    result = call(caller.client, transport, SET, given, **caller.headers)
    [line] = denials()
    who, _, _ = description.partition(": ")
    user = f"user {cast.users[who].pk}" if who in cast.users else "nobody"
    token = f" by token {ApiToken.objects.get().pk}" if "token" in description else ""
    assert line == f"{SET} denied {user}{token}: {result.message}"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_other_calls_are_not_logged_as_denials(
    cast: Cast, denials: Callable[[], list[str]], transport: str
) -> None:
    caller = cast.caller("owner: read token")
    call(caller.client, transport, OWNED, **caller.headers)
    given = {"projectId": str(cast.project.pk), "month": "nonsense"}
    call(caller.client, transport, "aiCost.getMonthlyTrend", given, **caller.headers)
    assert denials() == []


HOSTILE = "x\n2026-03-17 12:00:00 WARNING aicost.access forged \x1b[31m\r\u2028\ud800"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_hostile_text_cannot_break_a_log_line(
    cast: Cast, caplog: pytest.LogCaptureFixture, transport: str
) -> None:
    caplog.set_level(logging.DEBUG)
    caller = cast.caller("stranger: read token")
    for given in (
        {"projectId": HOSTILE},
        {"projectId": "1", HOSTILE: 1},
        {"projectId": "1", "month": HOSTILE},
    ):
        call(caller.client, transport, "aiCost.getMonthlyTrend", given, **caller.headers)
    forger = bad_token(Client(REMOTE_ADDR="x\nforged"), transport)
    assert READ[transport](forger).code == UNAUTHORIZED
    Client().get(f"/api/trpc/{quote(HOSTILE, errors='surrogatepass')}")
    body = {"jsonrpc": "2.0", "id": HOSTILE, "method": HOSTILE}
    Client().post("/api/rpc", body, content_type="application/json")
    own_lines = [record.getMessage() for record in caplog.records if record.name.startswith("aicost")]
    assert "bad token from x\\nforged, try 1" in own_lines
    assert all(line.isprintable() for line in own_lines), own_lines
    # Django's own lines contain the path, and escape it, too.
    assert all("\n" not in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_no_token_is_ever_logged(cast: Cast, caplog: pytest.LogCaptureFixture, transport: str) -> None:
    caplog.set_level(logging.DEBUG)
    text = cast.token("owner", "read")
    ingest = cast.token("owner", "ingest", cast.project)
    for sent in (text, ingest, text[:-1], text + "x"):
        SEND[transport](Client(), OWNED, **bearer(sent))
        SEND[transport](Client(), OWNED, Authorization=sent)
    assert caplog.records
    for secret in (text, ingest):
        assert secret.removeprefix("aicost_")[:20] not in caplog.text


# ---- Other origins


ELSEWHERE = "https://app.example"


def preflight(address: str, headers: str = "authorization,content-type,trpc-accept") -> Any:
    return Client().options(
        address,
        headers={
            "Origin": ELSEWHERE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": headers,
        },
    )


ADDRESSES = ["/api/rpc", f"/api/trpc/{OWNED}", f"/api/trpc/{OWNED},{OWNED}?batch=1"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_other_origins_get_no_cors_headers_by_default(address: str) -> None:
    for response in (preflight(address), Client().get(address, headers={"Origin": ELSEWHERE})):
        assert "Access-Control-Allow-Origin" not in response


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_configured_origin_may_send_the_clients_headers(settings: Any, address: str) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ELSEWHERE]
    response = preflight(address)
    assert response.status_code in (200, 204)
    assert response["Access-Control-Allow-Origin"] == ELSEWHERE
    allowed = {one.strip() for one in response["Access-Control-Allow-Headers"].split(",")}
    assert allowed >= {"authorization", "content-type", "trpc-accept"}
    assert {one.strip() for one in response["Access-Control-Allow-Methods"].split(",")} >= {"GET", "POST"}
    # Credentials such as the session cookie are not allowed.
    assert "Access-Control-Allow-Credentials" not in response


def test_a_configured_origin_can_read_results_and_errors(settings: Any, project: Project, owner: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ELSEWHERE]
    _, text = tokens.issue(owner)
    answers = [
        (200, read(Client(), project, text, Origin=ELSEWHERE)),
        (401, read(Client(), project, "bad", Origin=ELSEWHERE)),
        (404, Client().get("/api/trpc/none", headers={"Origin": ELSEWHERE})),
        (
            405,
            Client().post(
                f"/api/trpc/{OWNED}", {}, content_type="application/json", headers={"Origin": ELSEWHERE}
            ),
        ),
        (415, Client().post("/api/rpc", "x", content_type="text/plain", headers={"Origin": ELSEWHERE})),
        (200, jsonrpc(Client(), OWNED, Origin=ELSEWHERE)),
    ]
    for status, response in answers:
        assert response.status_code == status
        assert response["Access-Control-Allow-Origin"] == ELSEWHERE
        assert "origin" in response["Vary"].lower()


def test_other_origins_and_pages_get_no_cors_headers(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ELSEWHERE]
    for origin in ("https://app.example.evil.example", "http://app.example", "null"):
        assert "Access-Control-Allow-Origin" not in jsonrpc(Client(), OWNED, Origin=origin)
    assert "Access-Control-Allow-Origin" not in Client().get("/sign-in/", headers={"Origin": ELSEWHERE})


def test_api_responses_are_not_cacheable(project: Project, owner: Any) -> None:
    _, text = tokens.issue(owner)
    for response in (read(Client(), project, text), read(Client(), project, "bad"), jsonrpc(Client(), OWNED)):
        assert response["Cache-Control"] == "no-store"
        assert strict(response.content)
