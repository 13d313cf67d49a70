"""Responses in agents' logs: what the ledger holds of them already, and how they have grown since."""
