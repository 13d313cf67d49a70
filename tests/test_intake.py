"""`POST /api/v1/usage`: what is recorded, and what the response says."""

import gzip
import json
from typing import Any

import pytest
from django.db import OperationalError

from billing import ledger, verification
from billing.models import CreditTransaction, DailySpend
from products import tokens
from products.models import Membership
from tests.factories import event as read_event
from tests.factories import fields, send

pytestmark = pytest.mark.usefixtures("clock")

ADDRESS = "/api/v1/usage"


@pytest.fixture
def post(client, project, owner):
    """Sends a body to the endpoint with an ingest token of the product."""
    _, text = tokens.issue(owner, project=project, scope="ingest")

    def send_body(
        body: Any, kind: str = "application/json", query: str = "", token: str = text, **headers: str
    ):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        extra = {"HTTP_AUTHORIZATION": f"Bearer {token}", **headers}
        return client.post(ADDRESS + query, raw, content_type=kind, **extra)

    return send_body


def statuses(response: Any) -> list[str]:
    return [one["status"] for one in response.json()["results"]]


def recorded_ids() -> set[str]:
    return set(CreditTransaction.objects.values_list("event_id", flat=True))


def test_an_event_sent_twice_is_a_duplicate(post):
    first = post(fields(eventId="a"))
    assert (first.status_code, first.json()["results"]) == (200, [{"status": "recorded", "eventId": "a"}])
    again = post(fields(eventId="a"))
    assert (again.status_code, statuses(again)) == (200, ["duplicate"])
    assert recorded_ids() == {"a"}


def test_arrays_and_ndjson_get_one_result_per_event(post):
    array = post([fields(eventId="a"), fields(eventId="b")])
    assert statuses(array) == ["recorded", "recorded"]
    lines = b"\n".join(json.dumps(fields(eventId=name)).encode() for name in "bc") + b"\n\n"
    assert statuses(post(lines, "application/x-ndjson")) == ["duplicate", "recorded"]
    assert recorded_ids() == {"a", "b", "c"}


def test_valid_events_are_recorded_and_the_others_reported(post):
    post(fields(eventId="old", costDollars=1))
    wrong = {**fields(eventId="bad"), "inputTokns": 1}
    response = post([fields(eventId="good"), wrong, fields(eventId="old", costDollars=2), 7])
    assert response.status_code == 207
    assert response.json()["results"][1] == {
        "status": "rejected",
        "eventId": "bad",
        "field": "inputTokns",
        "reason": "unknown field, did you mean inputTokens?",
    }
    assert statuses(response) == ["recorded", "rejected", "conflict", "rejected"]
    assert {name: response.json()[name] for name in ("recorded", "rejected", "conflicts")} == {
        "recorded": 1,
        "rejected": 2,
        "conflicts": 1,
    }
    assert recorded_ids() == {"old", "good"}


def test_atomic_records_all_or_nothing(post):
    response = post([fields(eventId="good"), {}], query="?atomic=true")
    assert (response.status_code, statuses(response)) == (422, ["withheld", "rejected"])
    assert recorded_ids() == set()
    assert post([fields(eventId="a"), fields(eventId="b")], query="?atomic=true").status_code == 200
    assert recorded_ids() == {"a", "b"}
    assert post(fields(), query="?atomic=perhaps").status_code == 400


def test_a_batch_without_a_valid_event_is_422(post):
    assert post({"eventId": "x"}).status_code == 422


def test_gzip_is_accepted(post):
    body = gzip.compress(json.dumps(fields(eventId="packed")).encode())
    assert post(body, HTTP_CONTENT_ENCODING="gzip").status_code == 200
    assert recorded_ids() == {"packed"}


REFUSED = {
    "not JSON": (b"{", {}, 400),
    "NaN": (b'{"costDollars": NaN}', {}, 400),
    "nested too deeply": (b"[" * 100_000, {}, 400),
    "nothing": (b"[]", {}, 400),
    "no UTF-8": (b'{"eventId": "\xff"}', {}, 400),
    "another media type": (b"{}", {"kind": "text/plain"}, 415),
    "another encoding": (b"{}", {"HTTP_CONTENT_ENCODING": "br"}, 415),
    "not gzip": (b"{}", {"HTTP_CONTENT_ENCODING": "gzip"}, 400),
    "too many events": (json.dumps([{}] * 1001).encode(), {}, 413),
    "too many bytes": (b" " * 10_000_001, {}, 413),
    "too many bytes inside": (gzip.compress(b" " * 10_000_001), {"HTTP_CONTENT_ENCODING": "gzip"}, 413),
}


@pytest.mark.parametrize("what", REFUSED)
def test_an_invalid_request_is_refused_as_a_whole(post, what):
    body, options, status = REFUSED[what]
    response = post(body, **options)
    assert response.status_code == status
    assert response.json()["error"]
    assert recorded_ids() == set()


def test_a_thousand_events_are_accepted(post):
    response = post([fields(eventId=f"e{number}") for number in range(1000)])
    assert response.json()["recorded"] == 1000


def test_only_ingest_tokens_may_send_usage(post, client, project, owner, viewer, manager):
    def token(user: Any, **wanted: Any) -> str:
        return tokens.issue(user, **wanted)[1]

    assert post(fields(), token="aicost_" + "x" * 43).status_code == 401
    for scope in ("read", "write"):
        assert post(fields(), token=token(owner, scope=scope, project=project)).status_code == 403
        assert post(fields(), token=token(owner, scope=scope)).status_code == 403
    of_manager = token(manager, scope="ingest", project=project)
    assert post(fields(), token=of_manager).status_code == 200
    Membership.objects.filter(user=manager).update(role="viewer")
    assert post(fields(), token=of_manager).status_code == 403
    Membership.objects.filter(user=manager).delete()
    assert post(fields(), token=of_manager).status_code == 404
    client.force_login(owner)
    session = client.post(ADDRESS, json.dumps(fields()), content_type="application/json")
    assert (session.status_code, session["WWW-Authenticate"]) == (401, "Bearer")
    assert client.get(ADDRESS).status_code == 405


def test_an_archived_product_accepts_no_usage(post, project, clock):
    type(project).objects.filter(pk=project.pk).update(archived_at="2026-03-01T00:00:00Z")
    assert post(fields()).status_code == 403


def test_a_busy_database_is_503_and_nothing_is_recorded(post, monkeypatch):
    def busy(*_: Any, **__: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(ledger, "record", busy)
    response = post(fields(eventId="a"))
    assert (response.status_code, response["Retry-After"]) == (503, "2")
    assert "locked" not in response.content.decode()
    monkeypatch.undo()
    assert post(fields(eventId="a")).status_code == 200


def test_a_sum_beyond_64_bits_is_refused_and_changes_nothing(post, project):
    send(project, *(read_event(inputTokens=10**12) for _ in range(3)))
    ledger_rows = CreditTransaction.objects.count()
    DailySpend.objects.filter(project=project).update(input_tokens=9 * 10**18 - 1)
    response = post(fields(eventId="last", inputTokens=10))
    assert response.status_code == 422
    assert CreditTransaction.objects.count() == ledger_rows


def test_recorded_usage_passes_verification(post, project):
    post([fields(kind=kind) for kind in ("deduction", "refund", "purchase", "grant", "job")])
    assert not list(verification.differences(project))
