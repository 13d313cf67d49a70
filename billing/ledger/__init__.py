"""The ledger writer, and what it needs to write."""

from billing.ledger.outcomes import Outcome, count
from billing.ledger.recording import Then, lock, record

__all__ = ["Outcome", "Then", "count", "lock", "record"]
