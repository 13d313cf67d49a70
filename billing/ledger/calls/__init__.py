"""Model calls that several senders report: which reports are of one call, and what the ledger books of it."""
