"""Prometheus counters of received usage events. `/metrics` shows them.

Each process has its own counters. If a server runs several processes, set `PROMETHEUS_MULTIPROC_DIR`
to a folder that they share; each of them then reports the counts of all.
"""

from collections.abc import Iterable

from prometheus_client import Counter

from billing import ledger
from billing.ledger import Outcome
from billing.sources.otlp.unknown_usage import HALF_KNOWN

# The label is called "door" because renaming it would break the queries of existing dashboards.
RECEIVED = Counter("aicost_usage_events_received", "Usage events received, whatever their outcome.", ["door"])
OUTCOMES = Counter("aicost_usage_events", "Usage events by outcome.", ["door", "outcome"])
NOT_UNDERSTOOD = Counter(
    "aicost_usage_not_understood",
    "Reports that look like usage and are not recorded, by why.",
    ["endpoint", "reason"],
)


def count(endpoint: str, outcomes: Iterable[Outcome]) -> None:
    """Count the outcomes of a batch that an endpoint has committed."""
    for status, number in ledger.count(outcomes).items():
        RECEIVED.labels(endpoint).inc(number)
        OUTCOMES.labels(endpoint, status).inc(number)
        if status not in ("recorded", "duplicate"):
            NOT_UNDERSTOOD.labels(endpoint, status).inc(number)


_UNKNOWN_KIND = "unknown kind of span"
_REASONS = frozenset({"no model", "no operation name", "unknown token counts", HALF_KNOWN})
"""What is added after a colon, and other reasons, repeat what was sent: labels without limit."""


def count_not_understood(endpoint: str, reasons: Iterable[str]) -> None:
    """Count spans that look like usage and can't be recorded, or only in part."""
    for reason in reasons:
        general = reason.partition(": ")[0]
        NOT_UNDERSTOOD.labels(endpoint, general if general in _REASONS else _UNKNOWN_KIND).inc()
