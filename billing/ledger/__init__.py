"""The ledger writer, and what it needs to write."""

from billing.ledger.outcomes import Outcome, count
from billing.ledger.recording import lock, record

__all__ = ["Outcome", "count", "lock", "record"]
