"""Prices of a project's own."""

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from products.db.fields import CodePointCharField
from products.models import Project

MAX_RATE = 100_000
"""Dollars per million tokens: beyond it somebody has mistaken the unit."""


def _rate_field(**kwargs: Any) -> models.DecimalField:
    """Dollars per million tokens. A rate is never summed, so it may be a decimal on every database."""
    return models.DecimalField(
        max_digits=12,
        decimal_places=6,
        validators=[MinValueValidator(0), MaxValueValidator(MAX_RATE)],
        **kwargs,
    )


class PriceOverride(models.Model):
    """What a model costs a project from a day on, whatever the price list says.

    It prices usage that is recorded after it was set, and unpriced usage by `price_unpriced`; what
    is booked already keeps its cost.
    """

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="price_overrides", db_index=False
    )
    model = CodePointCharField(max_length=200, help_text="Its name exactly as usage tells it.")
    starts_on = models.DateField(
        "from", help_text="The first day, in the product's billing zone; until another one begins."
    )
    input_rate = _rate_field(verbose_name="input", help_text="Dollars per million tokens, uncached.")
    output_rate = _rate_field(verbose_name="output", help_text="Dollars per million tokens.")
    cache_read_rate = _rate_field(
        verbose_name="cache reads", null=True, blank=True, help_text="Empty: as input."
    )
    cache_write_rate = _rate_field(
        verbose_name="cache writes", null=True, blank=True, help_text="Empty: as input."
    )
    cache_write_1h_rate = _rate_field(
        verbose_name="cache writes for an hour", null=True, blank=True, help_text="Empty: as other writes."
    )

    class Meta:
        ordering = ["project", "model", "-starts_on"]
        constraints = [
            models.UniqueConstraint(fields=["project", "model", "starts_on"], name="price_override_once")
        ]

    def __str__(self) -> str:
        return f"{self.model} from {self.starts_on}"
