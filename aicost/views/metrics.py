"""What the intake counts, and what waits in the alerts' outbox, for Prometheus, at `/metrics`.

Each process counts for itself. Where a server runs several, `PROMETHEUS_MULTIPROC_DIR` names a
folder that they share, and any of them answers for all.
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

RECEIVED = Counter(
    "aicost_usage_events_received", "Usage events that arrived, whatever became of them.", ["door"]
)
OUTCOMES = Counter("aicost_usage_events", "Usage events by what became of them.", ["door", "outcome"])


def count(door: str, outcomes: Iterable[Outcome]) -> None:
    """Count a batch of one of the doors, after it was committed."""
    for status, number in ledger.count(outcomes).items():
        RECEIVED.labels(door).inc(number)
        OUTCOMES.labels(door, status).inc(number)


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """For `Authorization: Bearer METRICS_TOKEN`; where none is set there is no such page."""
    expected = settings.METRICS_TOKEN
    if not expected:
        raise Http404
    told = request.headers.get("Authorization", "")
    if not compare_digest(told.encode(), f"Bearer {expected}".encode()):
        return HttpResponse("Unauthorized\n", status=401, headers={"WWW-Authenticate": "Bearer"})
    text = generate_latest(_registry()) + generate_latest(_outbox())
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


def _outbox() -> CollectorRegistry:
    """Read from the database, where every process finds the same."""
    registry = CollectorRegistry()
    waiting = Gauge(
        "aicost_alert_deliveries", "Budget alerts that are not sent, by state.", ["state"], registry=registry
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
