"""The ledger writer, and what it needs to write."""

from billing.ledger.recording import Outcome, count, lock, record

__all__ = ["Outcome", "count", "lock", "record"]
