"""Security headers: own scripts only, no MIME sniffing, no framing, HTTPS only."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from products.models import Project
from tests import every_url as every
from tests.factories import PASSWORD, usage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock"), pytest.mark.once]

OWN, NONE = "'self'", "'none'"
POLICY = {
    **dict.fromkeys(("script-src", "style-src", "img-src", "connect-src", "form-action"), OWN),
    **dict.fromkeys(("default-src", "base-uri", "object-src", "frame-ancestors"), NONE),
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@pytest.fixture
def client(superuser: Any, settings: Any) -> Client:
    settings.METRICS_TOKEN = "scrape"
    client = Client()
    client.force_login(superuser)
    return client


def policy(response: Any) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in response["Content-Security-Policy"].split(";"))
    return {name: sources for name, _, sources in parts}


def addresses(project: Project) -> list[str]:
    pages = [every.page_of(project.pk, name) for name in (*every.PAGES, *every.OF_MANAGERS, *every.OVERSIGHT)]
    own = [reverse(name, args=args) for name, args in every.OWN.items()]
    odd = ["/no/such/page", every.page_of(project.pk, "ai-cost") + "?range=8", "/api/trpc/none", "/api/rpc"]
    open_to_all = [reverse(name) for name in every.OPEN]
    return [*pages, *own, *odd, *open_to_all, *every.INTAKE.values(), *every.of_the_admin().values()]


@pytest.mark.once
def test_every_response_has_the_strict_csp_and_security_headers(client: Client, project: Project) -> None:
    usage(project, runId="run-1")
    for address in addresses(project):
        response = client.get(address)
        assert policy(response) == POLICY, address
        assert {name: response[name] for name in HEADERS} == HEADERS, address


def test_https_responses_have_hsts(client: Client, settings: Any) -> None:
    settings.SECURE_HSTS_SECONDS = 31_536_000
    assert Client().get("/", secure=True)["Strict-Transport-Security"].startswith("max-age=31536000")
    settings.SECURE_SSL_REDIRECT = True
    redirect = Client().get("/account/tokens")
    assert (redirect.status_code, redirect["Location"]) == (301, "https://testserver/account/tokens")


def test_the_session_cookie_is_httponly_and_samesite(owner: Any) -> None:
    client = Client()
    client.post(reverse("sign-in"), {"username": "owner", "password": PASSWORD})
    session = client.cookies["sessionid"]
    assert (session["httponly"], session["samesite"]) == (True, "Lax")


def test_sign_in_does_not_redirect_to_other_sites(owner: Any) -> None:
    for elsewhere in ("https://evil.example/", "//evil.example", "javascript:alert(1)", "\\\\evil.example"):
        form = {"username": "owner", "password": PASSWORD, "next": elsewhere}
        assert Client().post(reverse("sign-in"), form)["Location"] == "/"
