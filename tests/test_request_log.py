"""The request log: one line per request, without secrets, and safe from forged lines."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from aicost.http import request_log
from aicost.views import product
from products import tokens
from products.models import Project
from tests.calls import jsonrpc, trpc
from tests.factories import PASSWORD, ProjectFactory, fields

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

HOSTILE = "x\n2026-03-17 INFO aicost forged=1\r\u2028\u202e\x1b[31m"


class Log:
    """Collects what a handler writes in one of the formats."""

    def __init__(self, formatter: logging.Formatter) -> None:
        self.stream = io.StringIO()
        self.handler = logging.StreamHandler(self.stream)
        self.handler.setFormatter(formatter)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().split("\n")[:-1]

    def parsed(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture(params=[request_log.Json, request_log.Text])
def either(request: pytest.FixtureRequest) -> Iterator[Log]:
    yield from listening(request.param())


@pytest.fixture
def log() -> Iterator[Log]:
    yield from listening(request_log.Json())


def listening(formatter: logging.Formatter) -> Iterator[Log]:
    log, root = Log(formatter), logging.getLogger()
    root.addHandler(log.handler)
    yield log
    root.removeHandler(log.handler)


def requests(log: Log) -> list[dict[str, Any]]:
    return [line for line in log.parsed() if line["logger"] == "aicost.requests"]


def test_a_page_view_is_logged_on_one_line_with_its_user(log: Log, project: Project, viewer: Any) -> None:
    client = Client()
    client.force_login(viewer)
    address = reverse("ai-cost", args=[project.pk])
    client.get(address, {"month": "2026-02"})
    [line] = requests(log)
    assert len(log.lines) == 1
    assert (line.pop("method"), line.pop("path"), line.pop("status")) == ("GET", address, 200)
    assert (line.pop("user"), line.pop("project")) == (viewer.pk, str(project.pk))
    assert line.pop("ms") >= 0
    assert line.keys() == {"time", "level", "logger", "message", "request_id"}


def test_usage_is_logged_with_its_token_and_product(log: Log, project: Project, owner: Any) -> None:
    token, text = tokens.issue(owner, project=project, scope="ingest")
    client = Client(headers={"Authorization": f"Bearer {text}"})
    client.post("/api/v1/usage", json.dumps(fields()), content_type="application/json")
    [line] = requests(log)
    assert (line["user"], line["token"], line["project"]) == (owner.pk, token.pk, str(project.pk))
    assert (line["path"], line["status"]) == ("/api/v1/usage", 200)


def test_a_call_is_logged_with_the_requested_product(log: Log, project: Project, owner: Any) -> None:
    _, text = tokens.issue(owner)
    for call, status in ((trpc, 404), (jsonrpc, 200)):
        call(Client(), "aiCost.getMonthlyTrend", {"projectId": "4711"}, Authorization=f"Bearer {text}")
        line = requests(log)[-1]
        assert (line["user"], line["project"], line["status"]) == (owner.pk, "4711", status)


def test_a_batch_is_logged_with_each_of_its_first_products_once(log: Log, owner: Any) -> None:
    _, text = tokens.issue(owner)
    batch = [
        {"jsonrpc": "2.0", "id": n, "method": "aiCost.getMonthlyTrend", "params": {"projectId": str(n // 2)}}
        for n in range(2, 60)
    ]
    client = Client(headers={"Authorization": f"Bearer {text}"})
    client.post("/api/rpc", json.dumps(batch), content_type="application/json")
    assert requests(log)[-1]["project"] == "1,2,3,4,5,6,7,8,9,10"


def test_only_lines_logged_during_a_request_have_its_id(log: Log, project: Project) -> None:
    response = Client(headers={"Authorization": "Bearer wrong"}).get("/api/trpc/aiCost.getMonthlyTrend")
    lines = log.parsed()
    assert len(lines) > 1
    assert {line["request_id"] for line in lines} == {response["X-Request-ID"]}
    logging.getLogger("aicost").warning("between two requests")
    assert "request_id" not in log.parsed()[-1]


@pytest.mark.parametrize("sane", ["a", "A-z_0.9", "x" * 64, "00-4bf92f3577b34da6a3ce929d0e0e4736-01"])
def test_a_valid_request_id_is_used(sane: str) -> None:
    assert Client(headers={"X-Request-ID": sane}).get("/healthz")["X-Request-ID"] == sane


@pytest.mark.parametrize("odd", ["", "x" * 65, "a b", "a\nb", "é", "<i>", '"', "a\0", HOSTILE])
def test_an_invalid_request_id_is_replaced(odd: str) -> None:
    given = Client(headers={"X-Request-ID": odd}).get("/healthz")["X-Request-ID"]
    assert given != odd
    assert len(given) == 32


def test_each_request_gets_its_own_id() -> None:
    assert len({Client().get("/healthz")["X-Request-ID"] for _ in range(5)}) == 5


def test_hostile_text_cannot_forge_a_log_line(either: Log, project: Project, owner: Any) -> None:
    client = Client()
    client.force_login(owner)
    before = len(either.lines)
    client.get(f"{reverse('runs', args=[project.pk])}{quote(HOSTILE)}/")
    client.get(f"/dashboard/products/{quote(HOSTILE)}/ai-cost")
    client.generic("GET\nforged", "/healthz")
    client.post("/sign-in/", {"username": HOSTILE, "password": HOSTILE})
    logging.getLogger("aicost").warning("hostile: %s", HOSTILE)
    assert len(either.lines) - before == 5
    assert all(line.isprintable() for line in either.lines)
    assert "forged" in either.lines[-1]


def test_a_failure_is_logged_with_its_indented_traceback(
    either: Log, project: Project, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError(HOSTILE)

    monkeypatch.setattr(product, "project_for", broken)
    client = Client(raise_request_exception=False)
    client.force_login(owner)
    response = client.get(reverse("product", args=[project.pk]))
    assert response.status_code == 500
    assert response["X-Request-ID"] in either.lines[0]
    assert "RuntimeError" in either.stream.getvalue()
    assert all(line.isprintable() for line in either.lines)
    beginning = [line for line in either.lines if not line.startswith("    ")]
    assert len(beginning) == 2
    assert not [line for line in beginning if line.startswith("2026-03-17 INFO aicost forged")]


def test_no_secret_is_in_the_log(either: Log, project: Project, owner: Any) -> None:
    _, text = tokens.issue(owner, project=project, scope="ingest")
    client = Client()
    client.post("/sign-in/", {"username": owner.username, "password": PASSWORD})
    session = client.cookies["sessionid"].value
    csrf = client.get("/account/tokens").cookies.get("csrftoken")
    client.get(f"/?token={text}&password={PASSWORD}")
    client.get(f"/{text}")
    client.get(reverse("run", args=[project.pk, f"a/{text}"]))
    Client(headers={"Authorization": f"Bearer {text}"}).post(
        "/api/v1/usage", json.dumps(fields(eventId="body")), content_type="application/json"
    )
    log = either.stream.getvalue()
    assert "aicost_***" in log
    for secret in (text, text[7:20], PASSWORD, session, csrf and csrf.value, "password", '"body"'):
        assert not secret or secret not in log


def test_a_long_path_is_truncated(log: Log) -> None:
    Client().get("/" + "x" * 10_000)
    assert len(log.lines[-1]) < 1_000


def test_logging_makes_no_query(db: None) -> None:
    with CaptureQueriesContext(connection) as queries:
        Client().get("/healthz")
    assert [query["sql"] for query in queries] == []


def test_product_names_are_not_logged(log: Log, owner: Any) -> None:
    project = ProjectFactory(owner=owner, name="Secret plans")
    client = Client()
    client.force_login(owner)
    client.get(reverse("ai-cost", args=[project.pk]))
    assert "Secret plans" not in log.stream.getvalue()
