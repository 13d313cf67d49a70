"""Prometheus metrics at `/metrics`: received usage events, and unsent alerts.

Each process has its own counters. If a server runs several processes, set `PROMETHEUS_MULTIPROC_DIR`
to a folder that they share; each of them then reports the counts of all.
"""

import os
from collections.abc import Iterable
from hmac import compare_digest

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    generate_latest,
    multiprocess,
)

from billing import ledger
from billing.alerts import outbox
from billing.ledger import Outcome

RECEIVED = Counter("aicost_usage_events_received", "Usage events received, whatever their outcome.", ["door"])
OUTCOMES = Counter("aicost_usage_events", "Usage events by outcome.", ["door", "outcome"])


def count(endpoint: str, outcomes: Iterable[Outcome]) -> None:
    """Count the outcomes of a batch that an endpoint has committed."""
    for status, number in ledger.count(outcomes).items():
        RECEIVED.labels(endpoint).inc(number)
        OUTCOMES.labels(endpoint, status).inc(number)


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Requires `Authorization: Bearer METRICS_TOKEN`. Without that setting the page does not exist."""
    expected = settings.METRICS_TOKEN
    if not expected:
        raise Http404
    authorization = request.headers.get("Authorization", "")
    if not compare_digest(authorization.encode(), f"Bearer {expected}".encode()):
        return HttpResponse("Unauthorized\n", status=401, headers={"WWW-Authenticate": "Bearer"})
    text = generate_latest(_registry()) + generate_latest(_outbox())
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


def _outbox() -> CollectorRegistry:
    """Unsent deliveries, read from the database and so the same in every process."""
    registry = CollectorRegistry()
    waiting = Gauge(
        "aicost_alert_deliveries", "Unsent budget alerts, by state.", ["state"], registry=registry
    )
    for state, number in outbox.not_sent().items():
        waiting.labels(state).set(number)
    return registry


def _registry() -> CollectorRegistry:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
