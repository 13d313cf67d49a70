"""The HTTP endpoints for usage: each a thin translation from a format to `billing.ledger.record`.

A response is sent only after the commit. Intake accepts tokens with the scope `ingest`, never a
session; the usage goes to the token's product.
"""
