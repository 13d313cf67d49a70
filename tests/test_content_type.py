"""A Content-Type header that Django can't read is refused by the view, not an error of the server."""

from typing import Any

import pytest
from django.test import Client

from aicost.http.wsgi import Handler, TolerantRequest
from aicost.wsgi import application
from products import tokens

pytestmark = [pytest.mark.django_db, pytest.mark.once]

UNREADABLE = [
    "application/json; charset=hex",
    "application/json; charset=rot13",
    "application/json; charset=\0",
    "application/json; charset*=x'y'z",
    "application/json; charset*=idna''%C3%A4",
]
ENDPOINTS = ["/api/v1/usage", "/api/v1/litellm", "/v1/traces", "/v1/logs", "/api/rpc", "/api/trpc/x"]


@pytest.fixture(autouse=True)
def production_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the test client use the request class of the production server."""
    monkeypatch.setattr("django.test.client.WSGIRequest", TolerantRequest)


def status_of(method: str, path: str, content_type: str, **headers: str) -> int:
    return Client().generic(method, path, b"{}", content_type, headers=headers).status_code


def test_production_uses_the_tolerant_request() -> None:
    assert isinstance(application, Handler)
    assert application.request_class is TolerantRequest


@pytest.mark.parametrize("content_type", UNREADABLE)
def test_an_unreadable_content_type_is_415(project: Any, owner: Any, content_type: str) -> None:
    _, token = tokens.issue(owner, scope="ingest", project=project)
    for path in ENDPOINTS:
        status = status_of("POST", f"{path}?a=1", content_type, Authorization=f"Bearer {token}")
        assert (path, status) == (path, 415)


def test_a_page_ignores_an_unreadable_content_type() -> None:
    assert status_of("GET", "/sign-in/?a=1", "text/plain; charset=hex") == 200


def test_too_many_parameters_with_a_charset_are_a_bad_request() -> None:
    query = "&".join(["a=1"] * 1_500)
    assert status_of("POST", f"/api/trpc/x?{query}", "application/json; charset=utf-8") == 400
