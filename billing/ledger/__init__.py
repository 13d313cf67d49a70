"""The one writer of the ledger, with what it needs to write it."""

from billing.ledger.recording import Outcome, count, lock, record

__all__ = ["Outcome", "count", "lock", "record"]
