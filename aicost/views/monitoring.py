"""Endpoints for monitoring: health checks for load balancers and orchestrators, metrics for Prometheus."""

import os
from hmac import compare_digest

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Gauge,
    generate_latest,
    multiprocess,
)

from billing.alerts import outbox


@login_not_required
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Liveness: 200 while the process responds, whether or not the database does."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """Readiness: 200 if the database responds and has all migrations, otherwise 503 with the reason."""
    reason = _not_ready()
    return HttpResponse(f"{reason or 'ready'}\n", content_type="text/plain", status=503 if reason else 200)


def _not_ready() -> str:
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return "the database does not answer"
    return "migrations are missing" if missing else ""


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Received usage events and unsent alerts. Requires `Authorization: Bearer METRICS_TOKEN`.

    Without that setting the page does not exist.
    """
    expected = settings.METRICS_TOKEN
    if not expected:
        raise Http404
    authorization = request.headers.get("Authorization", "")
    if not compare_digest(authorization.encode(), f"Bearer {expected}".encode()):
        return HttpResponse("Unauthorized\n", status=401, headers={"WWW-Authenticate": "Bearer"})
    text = generate_latest(_counters()) + generate_latest(_outbox())
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


def _counters() -> CollectorRegistry:
    """The counters of this process, or of all processes if they share a folder."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def _outbox() -> CollectorRegistry:
    """Unsent deliveries, read from the database and so the same in every process."""
    registry = CollectorRegistry()
    waiting = Gauge(
        "aicost_alert_deliveries", "Unsent budget alerts, by state.", ["state"], registry=registry
    )
    for state, number in outbox.not_sent().items():
        waiting.labels(state).set(number)
    return registry
