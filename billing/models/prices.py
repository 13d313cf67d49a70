"""Price overrides."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from billing.events.price_factors import from_words, words
from products.db.fields import CodePointCharField
from products.models import Project

MAX_RATE = 100_000
"""Dollars per million tokens. A higher rate means that somebody got the unit wrong."""


def _rate_field(**kwargs: Any) -> models.DecimalField:
    """Dollars per million tokens. Rates are never summed in SQL, so decimals are exact on every database."""
    return models.DecimalField(
        max_digits=12,
        decimal_places=6,
        validators=[MinValueValidator(0), MaxValueValidator(MAX_RATE)],
        **kwargs,
    )


class PriceOverride(models.Model):
    """What a model costs a project from a day on; takes precedence over the price list.

    It applies to usage recorded after it was set, and to unpriced usage by `price_unpriced`. Costs that are
    in the ledger already stay as they are.
    """

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="price_overrides", db_index=False
    )
    model = CodePointCharField(max_length=200, help_text="The name exactly as usage reports it.")
    starts_on = models.DateField(
        "from",
        help_text="The first day, in the product's billing zone. The price applies until a later one starts.",
    )
    factor = CodePointCharField(
        max_length=80,
        blank=True,
        default="",
        db_default="",
        help_text="The price factor that this price is for, such as serviceTier=priority, speed=fast, "
        "region=us or batch. Empty: calls without one, and the base for factors that the price list knows.",
    )
    input_rate = _rate_field(verbose_name="input", help_text="Dollars per million tokens, uncached.")
    output_rate = _rate_field(verbose_name="output", help_text="Dollars per million tokens.")
    cache_read_rate = _rate_field(
        verbose_name="cache reads", null=True, blank=True, help_text="Empty: the input price."
    )
    cache_write_rate = _rate_field(
        verbose_name="cache writes", null=True, blank=True, help_text="Empty: the input price."
    )
    cache_write_1h_rate = _rate_field(
        verbose_name="one-hour cache writes",
        null=True,
        blank=True,
        help_text="Empty: the price of cache writes.",
    )

    class Meta:
        ordering = ["project", "model", "factor", "-starts_on"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "model", "factor", "starts_on"], name="price_override_once"
            )
        ]

    def __str__(self) -> str:
        model = f"{self.model} with {self.factor}" if self.factor else self.model
        return f"{model} from {self.starts_on}"

    def clean(self) -> None:
        """Write the factor as calls report it."""
        if self.factor:
            try:
                self.factor = next(words(from_words(self.factor)))
            except ValueError as error:
                raise ValidationError({"factor": str(error)}) from None
