"""The endpoints for monitoring: /healthz, /readyz and /metrics."""

import json

import pytest
from django.db import DatabaseError
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from products import tokens
from tests.factories import fields

pytestmark = pytest.mark.django_db


def test_readyz_requires_a_reachable_and_migrated_database(client, monkeypatch):
    assert client.get("/readyz").status_code == 200
    MigrationRecorder.Migration.objects.filter(app="billing").order_by("-pk").first().delete()
    response = client.get("/readyz")
    assert (response.status_code, response.content) == (503, b"migrations are missing\n")

    def down(*_):
        raise DatabaseError("secret address")

    monkeypatch.setattr(MigrationExecutor, "__init__", down)
    response = client.get("/readyz")
    assert (response.status_code, response.content) == (503, b"the database does not answer\n")


def test_metrics_need_a_token(client, settings):
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics").status_code == 404
    settings.METRICS_TOKEN = "scrape"
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", HTTP_AUTHORIZATION="Bearer wrong").status_code == 401


def test_the_metrics_count_events_by_outcome(client, project, owner, settings, clock):
    settings.METRICS_TOKEN = "scrape"

    def counted() -> dict[str, float]:
        text = client.get("/metrics", HTTP_AUTHORIZATION="Bearer scrape").content.decode()
        lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith("aicost_usage"))
        return {name: float(number) for name, _, number in lines if "created" not in name}

    _, token = tokens.issue(owner, project=project, scope="ingest")
    before = counted()
    body = [fields(eventId="a"), fields(eventId="a"), fields(eventId="a", costDollars=7), {}]
    client.post(
        "/api/v1/usage",
        json.dumps(body),
        content_type="application/json",
        HTTP_AUTHORIZATION=f"Bearer {token}",
    )
    grown = {name: number - before.get(name, 0) for name, number in counted().items()}
    assert grown['aicost_usage_events_received_total{door="usage"}'] == 4
    for outcome in ("recorded", "duplicate", "conflict", "rejected"):
        assert grown[f'aicost_usage_events_total{{door="usage",outcome="{outcome}"}}'] == 1
