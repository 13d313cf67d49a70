"""Names as somebody hostile would choose them, at every address, in every export and in the log."""

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
    "markup": "<img src=x onerror=alert(1)>",
    "an attribute's end": "\" autofocus onfocus='alert(1)' x=\"",
    "a script's end": "</script><script>alert(1)</script>",
    "a formula": '=HYPERLINK("https://evil.example","x")',
    "other formulas": "@SUM(1+1)*cmd|' /C calc'!A0",
    "an override of direction": "invoice\u202efdp.exe",
    "a template": "{{ settings.SECRET_KEY }}{% debug %}",
    "as long as it may be": "x" * 199 + "é",
}
"""Ids may hold all of these; lines of text and longer ones are refused at the door."""


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return NAMES[request.param]


@pytest.fixture
def odd(owner: Any, name: str) -> Project:
    """Everything in it that somebody may name is named so."""
    project = ProjectFactory(owner=owner, name=name)
    told = {"runId": name, "jobId": name, "trigger": name[:100], "model": name[:100]}
    usage(project, eventId=name, agentType=name[:100], **told)
    usage(project, eventId=name[:-1] + "2", **{**told, "runId": name[:-1]}, costDollars=None)
    limits.set_limit(project, Decimal(1), by=owner, note=name)
    tokens.issue(owner, project=project, name=name[:100])
    project.refresh_from_db()
    return project


@pytest.fixture
def owners(owner: Any) -> Client:
    client = Client()
    client.force_login(owner)
    return client


def everywhere(project: Project) -> list[str]:
    pages = [every.page_of(project.pk, page) for page in every.PAGES if page not in ("run", "export-run")]
    pages += [f"{every.page_of(project.pk, 'ai-cost')}?tab={tab}" for tab in ("trend", "runs", "recent")]
    pages += [reverse(page, args=args) for page, args in every.OWN.items()]
    run = project.runs.order_by("-pk").last()
    of_run = reverse("export-run", args=[project.pk, "jobs", "json"])
    return [*pages, run_urls.run_url(project, run.run_id), f"{of_run}?{urlencode({'run': run.run_id})}"]


def test_they_are_text_on_every_page(odd: Project, owners: Client, name: str) -> None:
    shown = 0
    for address in everywhere(odd):
        response = owners.get(address)
        assert response.status_code == 200, address
        if response["Content-Type"].startswith("text/html"):
            page = response.content.decode()
            assert not [mark for mark in MARKS if mark in page], address
            shown += escape(name) in page
    assert shown > 10


MARKS = ("<img src=x", "<script>alert", "' x=\"", "onfocus='", 'HYPERLINK("')
"""What stands in a page only where a name was not escaped."""


def test_in_a_spreadsheet_they_are_text(odd: Project, owners: Client) -> None:
    files = [reverse("export", args=[odd.pk, table, "csv"]) for table in every.EXPORTS]
    files += [every.page_of(odd.pk, page) for page in ("export-ledger", "export-runs", "export-limits")]
    files += [reverse("export-portfolio", args=["csv"])]
    for address in files:
        response = owners.get(address)
        body = b"".join(response.streaming_content) if response.streaming else response.content
        for row in csv.reader(StringIO(body.decode())):
            for cell in row:
                assert not cell.startswith(("=", "@", "+", "\t", "\r")), (address, cell)
                assert not cell.startswith("-") or cell[1:].replace(".", "").isdigit(), (address, cell)


def test_in_json_they_are_what_they_were(odd: Project, owners: Client, name: str) -> None:
    table = json.loads(owners.get(reverse("export", args=[odd.pk, "recent", "json"])).content)
    assert {row["runId"] for row in table["rows"]} == {name, name[:-1]}


@pytest.mark.parametrize(
    "text", [LONG, "a\nb", "a\r\nSet-Cookie: x=1", "a\0b", "\u2028", "\x1b[31m", "é" * 3000]
)
def test_in_an_address_they_find_nothing_and_break_nothing(
    project: Project, owners: Client, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    written = quote(text, safe="")
    product = reverse("product", args=[project.pk])
    looked_for = [f"{product}pipelines/{written}/", f"{product}pipelines/?run={written}"]
    looked_for += [f"/dashboard/products/{written}/ai-cost", f"{product}ai-cost/export/{written}.csv"]
    looked_for += [f"{product}revenue.{written}", f"/portfolio.{written}", f"/{written}"]
    for address in looked_for:
        assert owners.get(address).status_code == 404, address[:80]
    wrong = [f"{product}ai-cost?{key}={written}" for key in ("month", "range", "tab")]
    for address in wrong:
        assert owners.get(address).status_code == 400, address[:80]
    response = owners.get("/", headers={"X-Request-ID": text})
    assert "Set-Cookie" not in str(response.headers)
