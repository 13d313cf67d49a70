"""What browsers may keep: fragments and downloads, which they ask about each time; pages never."""

import gzip
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from products.models import Membership
from tests.conftest import NOW
from tests.factories import usage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

FRAGMENTS = ("ai-cost-month", "ai-cost-daily", "ai-cost-tabs")
DOWNLOADS = ("daily.csv", "agents.json", "runs.csv", "recent.json", "waste.csv", "changes.json")
KEPT = (*FRAGMENTS, *DOWNLOADS, "revenue.csv", "portfolio.json")


def address(project: Any, kept: str) -> str:
    name, _, form = kept.partition(".")
    if not form:
        return reverse(name, args=[project.pk])
    if name == "portfolio":
        return reverse("export-portfolio", args=[form])
    if name == "revenue":
        return reverse("export-revenue", args=[project.pk, form])
    return reverse("export", args=[project.pk, name, form])


def ask(client: Client, url: str, etag: str = "") -> Any:
    return client.get(url, headers={"If-None-Match": etag} if etag else {})


@pytest.fixture
def used(project: Any) -> Any:
    usage(project, costDollars="2", agentType="testing")
    project.refresh_from_db()
    return project


@pytest.fixture
def viewers(viewer: Any) -> Client:
    client = Client()
    client.force_login(viewer)
    return client


@pytest.mark.parametrize("kept", KEPT)
def test_what_has_not_changed_is_not_sent_again(viewers: Client, used: Any, kept: str) -> None:
    first = ask(viewers, address(used, kept))
    again = ask(viewers, address(used, kept), first["ETag"])
    assert first.status_code == 200
    assert again.status_code == 304
    assert again.content == b""
    assert again["ETag"] == first["ETag"]


@pytest.mark.parametrize("kept", [*FRAGMENTS, *DOWNLOADS, "portfolio.json"])
def test_new_usage_is_sent_whole(viewers: Client, used: Any, kept: str) -> None:
    first = ask(viewers, address(used, kept))
    usage(used, costDollars="3", agentType="testing", jobId="failed", jobStatus="failed")
    again = ask(viewers, address(used, kept), first["ETag"])
    assert again.status_code == 200
    assert again.content != first.content


@pytest.mark.parametrize("kept", KEPT)
def test_it_is_kept_for_one_person_who_asks_each_time(viewers: Client, used: Any, kept: str) -> None:
    first = ask(viewers, address(used, kept))
    for response in (first, ask(viewers, address(used, kept), first["ETag"])):
        assert set(response["Cache-Control"].split(", ")) == {"private", "no-cache"}
        assert {"Cookie", "HX-Request"} <= set(response["Vary"].split(", "))


@pytest.mark.parametrize("kept", [*FRAGMENTS, *DOWNLOADS, "revenue.csv"])
def test_who_may_not_see_a_product_any_more_is_not_told_that_nothing_changed(
    viewers: Client, viewer: Any, used: Any, kept: str
) -> None:
    etag = ask(viewers, address(used, kept))["ETag"]
    Membership.objects.filter(user=viewer).delete()
    assert ask(viewers, address(used, kept), etag).status_code == 404
    assert ask(viewers, address(used, kept), "*").status_code == 404
    viewers.logout()
    assert ask(viewers, address(used, kept), etag).status_code == 302


def test_the_etag_of_one_product_is_not_that_of_another(
    viewers: Client, used: Any, viewer: Any, other_project: Any
) -> None:
    Membership.objects.create(project=other_project, user=viewer, role="viewer")
    usage(other_project, costDollars="2.01", agentType="testing")
    etag = ask(viewers, address(used, "agents.json"))["ETag"]
    assert ask(viewers, address(other_project, "agents.json"), etag).status_code == 200


def test_a_new_day_is_sent_whole(viewers: Client, used: Any, clock: Any) -> None:
    etag = ask(viewers, address(used, "ai-cost-daily"))["ETag"]
    clock.move_to(NOW + timedelta(days=1))
    assert ask(viewers, address(used, "ai-cost-daily"), etag).status_code == 200


@pytest.mark.parametrize("name", ["ai-cost", "product", "budget", "export-ledger", "connect-arrived"])
def test_pages_and_what_streams_are_sent_whole_every_time(viewers: Client, used: Any, name: str) -> None:
    response = ask(viewers, reverse(name, args=[used.pk]), "*")
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert "ETag" not in response


@pytest.mark.parametrize("name", ["ai-cost", "ai-cost-month", "export-ledger"])
def test_who_takes_gzip_gets_the_same_in_less(viewers: Client, used: Any, name: str) -> None:
    url = reverse(name, args=[used.pk])
    plain = body(ask(viewers, url))
    small = viewers.get(url, headers={"Accept-Encoding": "gzip"})
    assert small["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in small["Vary"]
    sent = body(small)
    assert without_token(gzip.decompress(sent)) == without_token(plain)
    assert name == "export-ledger" or len(sent) < len(plain) / 2


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else bytes(response.content)


def without_token(page: bytes) -> bytes:
    return re.sub(rb'name="csrfmiddlewaretoken" value="\w+"', b"", page)


def test_a_compressed_fragment_is_recognised_again(viewers: Client, used: Any) -> None:
    url = address(used, "ai-cost-tabs")
    first = viewers.get(url, headers={"Accept-Encoding": "gzip"})
    told = {"Accept-Encoding": "gzip", "If-None-Match": first["ETag"]}
    assert first["ETag"].startswith("W/")
    assert viewers.get(url, headers=told).status_code == 304
