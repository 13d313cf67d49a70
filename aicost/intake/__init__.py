"""The HTTP doors for usage: each a thin translation from a format to `billing.ledger.record`.

An answer is given only after the commit. Intake takes tokens with the scope `ingest`, never a
session; the usage goes to the token's product.
"""
