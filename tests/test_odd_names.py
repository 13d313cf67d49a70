"""Hostile names on every page, in every export, in URLs and in headers."""

import csv
import json
import logging
from decimal import Decimal
from io import StringIO
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from aicost.url_state import runs as run_urls
from billing.budgets import limits
from products import tokens
from products.models import Project
from tests import every_url as every
from tests.factories import ProjectFactory, usage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

LONG = "x" * 10_000
NAMES = {
    "html": "<img src=x onerror=alert(1)>",
    "an attribute's end": "\" autofocus onfocus='alert(1)' x=\"",
    "a script's end": "</script><script>alert(1)</script>",
    "a formula": '=HYPERLINK("https://evil.example","x")',
    "other formulas": "@SUM(1+1)*cmd|' /C calc'!A0",
    "an override of direction": "invoice\u202efdp.exe",
    "a template": "{{ settings.SECRET_KEY }}{% debug %}",
    "as long as it may be": "x" * 199 + "é",
}
"""All of these are valid ids. Line breaks and longer ids are rejected on intake."""


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return NAMES[request.param]


@pytest.fixture
def odd(owner: Any, name: str) -> Project:
    """A product in which everything that people or senders can name has this name."""
    project = ProjectFactory(owner=owner, name=name)
    names = {"runId": name, "jobId": name, "trigger": name[:100], "model": name[:100]}
    usage(project, eventId=name, agentType=name[:100], **names)
    usage(project, eventId=name[:-1] + "2", **{**names, "runId": name[:-1]}, costDollars=None)
    limits.set_limit(project, Decimal(1), by=owner, note=name)
    tokens.issue(owner, project=project, name=name[:100])
    project.refresh_from_db()
    return project


@pytest.fixture
def owner_client(owner: Any) -> Client:
    client = Client()
    client.force_login(owner)
    return client


def every_address(project: Project) -> list[str]:
    pages = [every.page_of(project.pk, page) for page in every.PAGES if page not in ("run", "export-run")]
    pages += [f"{every.page_of(project.pk, 'ai-cost')}?tab={tab}" for tab in ("trend", "runs", "recent")]
    pages += [reverse(page, args=args) for page, args in every.OWN.items()]
    run = project.runs.order_by("-pk").last()
    of_run = reverse("export-run", args=[project.pk, "jobs", "json"])
    return [*pages, run_urls.run_url(project, run.run_id), f"{of_run}?{urlencode({'run': run.run_id})}"]


def test_odd_names_are_escaped_on_every_page(odd: Project, owner_client: Client, name: str) -> None:
    appearances = 0
    for address in every_address(odd):
        response = owner_client.get(address)
        assert response.status_code == 200, address
        if response["Content-Type"].startswith("text/html"):
            page = response.content.decode()
            assert not [mark for mark in UNESCAPED if mark in page], address
            appearances += escape(name) in page
    assert appearances > 10


UNESCAPED = ("<img src=x", "<script>alert", "' x=\"", "onfocus='", 'HYPERLINK("')
"""Fragments that a page contains only if a name was not escaped."""


def test_odd_names_are_text_in_spreadsheets(odd: Project, owner_client: Client) -> None:
    files = [reverse("export", args=[odd.pk, table, "csv"]) for table in every.EXPORTS]
    files += [every.page_of(odd.pk, page) for page in ("export-ledger", "export-runs", "export-limits")]
    files += [reverse("export-portfolio", args=["csv"])]
    for address in files:
        response = owner_client.get(address)
        body = b"".join(response.streaming_content) if response.streaming else response.content
        for row in csv.reader(StringIO(body.decode())):
            for cell in row:
                assert not cell.startswith(("=", "@", "+", "\t", "\r")), (address, cell)
                assert not cell.startswith("-") or cell[1:].replace(".", "").isdigit(), (address, cell)


def test_odd_names_are_unchanged_in_json(odd: Project, owner_client: Client, name: str) -> None:
    table = json.loads(owner_client.get(reverse("export", args=[odd.pk, "recent", "json"])).content)
    assert {row["runId"] for row in table["rows"]} == {name, name[:-1]}


@pytest.mark.parametrize(
    "text", [LONG, "a\nb", "a\r\nSet-Cookie: x=1", "a\0b", "\u2028", "\x1b[31m", "é" * 3000]
)
def test_odd_text_in_urls_is_rejected_without_errors(
    project: Project, owner_client: Client, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    quoted = quote(text, safe="")
    product = reverse("product", args=[project.pk])
    unknown = [f"{product}pipelines/{quoted}/", f"{product}pipelines/?run={quoted}"]
    unknown += [f"/dashboard/products/{quoted}/ai-cost", f"{product}ai-cost/export/{quoted}.csv"]
    unknown += [f"{product}revenue.{quoted}", f"/portfolio.{quoted}", f"/{quoted}"]
    for address in unknown:
        assert owner_client.get(address).status_code == 404, address[:80]
    invalid = [f"{product}ai-cost?{key}={quoted}" for key in ("month", "range", "tab")]
    for address in invalid:
        assert owner_client.get(address).status_code == 400, address[:80]
    response = owner_client.get("/", headers={"X-Request-ID": text})
    assert "Set-Cookie" not in str(response.headers)
