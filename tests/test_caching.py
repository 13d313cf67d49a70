"""What browsers may cache: fragments and downloads, if they revalidate each time, but no pages."""

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

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock"), pytest.mark.once]

FRAGMENTS = ("ai-cost-month", "ai-cost-daily", "ai-cost-tabs")
DOWNLOADS = ("daily.csv", "agents.json", "runs.csv", "recent.json", "waste.csv", "changes.json")
CACHEABLE = (*FRAGMENTS, *DOWNLOADS, "revenue.csv", "portfolio.json")


def address(project: Any, cached: str) -> str:
    name, _, form = cached.partition(".")
    if not form:
        return reverse(name, args=[project.pk])
    if name == "portfolio":
        return reverse("export-portfolio", args=[form])
    if name == "revenue":
        return reverse("export-revenue", args=[project.pk, form])
    return reverse("export", args=[project.pk, name, form])


def get(client: Client, url: str, etag: str = "") -> Any:
    return client.get(url, headers={"If-None-Match": etag} if etag else {})


@pytest.fixture
def used(project: Any) -> Any:
    usage(project, costDollars="2", agentType="testing")
    project.refresh_from_db()
    return project


@pytest.fixture
def viewer_client(viewer: Any) -> Client:
    client = Client()
    client.force_login(viewer)
    return client


@pytest.mark.parametrize("cached", CACHEABLE)
def test_unchanged_content_is_not_sent_again(viewer_client: Client, used: Any, cached: str) -> None:
    first = get(viewer_client, address(used, cached))
    again = get(viewer_client, address(used, cached), first["ETag"])
    assert first.status_code == 200
    assert again.status_code == 304
    assert again.content == b""
    assert again["ETag"] == first["ETag"]


@pytest.mark.parametrize("cached", [*FRAGMENTS, *DOWNLOADS, "portfolio.json"])
def test_new_usage_is_sent_in_full(viewer_client: Client, used: Any, cached: str) -> None:
    first = get(viewer_client, address(used, cached))
    usage(used, costDollars="3", agentType="testing", jobId="failed", jobStatus="failed")
    again = get(viewer_client, address(used, cached), first["ETag"])
    assert again.status_code == 200
    assert again.content != first.content


@pytest.mark.parametrize("cached", CACHEABLE)
def test_responses_are_private_and_revalidated_each_time(
    viewer_client: Client, used: Any, cached: str
) -> None:
    first = get(viewer_client, address(used, cached))
    for response in (first, get(viewer_client, address(used, cached), first["ETag"])):
        assert set(response["Cache-Control"].split(", ")) == {"private", "no-cache"}
        assert {"Cookie", "HX-Request"} <= set(response["Vary"].split(", "))


@pytest.mark.parametrize("cached", [*FRAGMENTS, *DOWNLOADS, "revenue.csv"])
def test_removed_members_get_no_304(viewer_client: Client, viewer: Any, used: Any, cached: str) -> None:
    etag = get(viewer_client, address(used, cached))["ETag"]
    Membership.objects.filter(user=viewer).delete()
    assert get(viewer_client, address(used, cached), etag).status_code == 404
    assert get(viewer_client, address(used, cached), "*").status_code == 404
    viewer_client.logout()
    assert get(viewer_client, address(used, cached), etag).status_code == 302


def test_products_have_different_etags(
    viewer_client: Client, used: Any, viewer: Any, other_project: Any
) -> None:
    Membership.objects.create(project=other_project, user=viewer, role="viewer")
    usage(other_project, costDollars="2.01", agentType="testing")
    etag = get(viewer_client, address(used, "agents.json"))["ETag"]
    assert get(viewer_client, address(other_project, "agents.json"), etag).status_code == 200


def test_a_new_day_is_sent_in_full(viewer_client: Client, used: Any, clock: Any) -> None:
    etag = get(viewer_client, address(used, "ai-cost-daily"))["ETag"]
    clock.move_to(NOW + timedelta(days=1))
    assert get(viewer_client, address(used, "ai-cost-daily"), etag).status_code == 200


@pytest.mark.parametrize("name", ["ai-cost", "product", "budget", "export-ledger", "connect-arrived"])
def test_pages_and_streams_are_never_cached(viewer_client: Client, used: Any, name: str) -> None:
    response = get(viewer_client, reverse(name, args=[used.pk]), "*")
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert "ETag" not in response


@pytest.mark.parametrize("name", ["ai-cost", "ai-cost-month", "export-ledger"])
def test_gzip_compresses_the_same_content(viewer_client: Client, used: Any, name: str) -> None:
    url = reverse(name, args=[used.pk])
    plain = body(get(viewer_client, url))
    small = viewer_client.get(url, headers={"Accept-Encoding": "gzip"})
    assert small["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in small["Vary"]
    sent = body(small)
    assert without_token(gzip.decompress(sent)) == without_token(plain)
    assert name == "export-ledger" or len(sent) < len(plain) / 2


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else bytes(response.content)


def without_token(page: bytes) -> bytes:
    return re.sub(rb'name="csrfmiddlewaretoken" value="\w+"', b"", page)


def test_a_compressed_fragment_is_revalidated(viewer_client: Client, used: Any) -> None:
    url = address(used, "ai-cost-tabs")
    first = viewer_client.get(url, headers={"Accept-Encoding": "gzip"})
    headers = {"Accept-Encoding": "gzip", "If-None-Match": first["ETag"]}
    assert first["ETag"].startswith("W/")
    assert viewer_client.get(url, headers=headers).status_code == 304
