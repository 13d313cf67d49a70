"""The ledger writer, and what it needs to write."""

from billing.ledger.recording import Outcome, Then, count, lock, record

__all__ = ["Outcome", "Then", "count", "lock", "record"]
