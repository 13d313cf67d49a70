"""Prometheus counters of received usage events. `/metrics` shows them.

Each process has its own counters. If a server runs several processes, set `PROMETHEUS_MULTIPROC_DIR`
to a folder that they share; each of them then reports the counts of all.
"""

from collections.abc import Iterable

from prometheus_client import Counter

from billing import ledger
from billing.ledger import Outcome

# The label is called "door" because renaming it would break the queries of existing dashboards.
RECEIVED = Counter("aicost_usage_events_received", "Usage events received, whatever their outcome.", ["door"])
OUTCOMES = Counter("aicost_usage_events", "Usage events by outcome.", ["door", "outcome"])


def count(endpoint: str, outcomes: Iterable[Outcome]) -> None:
    """Count the outcomes of a batch that an endpoint has committed."""
    for status, number in ledger.count(outcomes).items():
        RECEIVED.labels(endpoint).inc(number)
        OUTCOMES.labels(endpoint, status).inc(number)
