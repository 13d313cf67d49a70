"""Verify that runs, jobs, calls and rollups agree with the ledger."""

from billing.verification.checks import differences, snapshot
from billing.verification.guards import how_guarded, missing_guards

__all__ = ["differences", "how_guarded", "missing_guards", "snapshot"]
