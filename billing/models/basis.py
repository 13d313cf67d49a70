"""The columns of what a cost rests on: those of `billing.events.cost.PriceBasis`."""

from django.db import models

BASIS_COLUMNS = ("price_factors", "priced_without", "price_source")


def basis_fields() -> tuple[models.TextField, models.TextField, models.TextField]:
    """A database default spares the migration a rewrite of the ledger."""
    return (
        _field("What was reported besides the model and tokens, as JSON; empty if all is standard."),
        _field("Reported factors that are not in the amount, because their effect was not known."),
        _field("The price list with its version, or the first day of the price override."),
    )


def _field(help_text: str) -> models.TextField:
    return models.TextField(blank=True, default="", db_default="", help_text=help_text)
