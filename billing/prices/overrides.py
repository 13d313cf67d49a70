"""A project's price overrides: dated prices that take precedence over the price list."""

from collections.abc import Collection
from datetime import date
from typing import Any, NamedTuple

from django.db import transaction

from billing.models import PriceOverride
from billing.prices.price_list import Rates
from products import audit
from products.models import Project


class Override(NamedTuple):
    """A price that takes precedence over the price list."""

    rates: Rates
    source: str
    """`override` and its first day."""


class PriceOverrides:
    """A project's overrides for some models, or for all of them, read in one query."""

    def __init__(self, project: Project, models: Collection[str] | None = None) -> None:
        rows = PriceOverride.objects.filter(project=project)
        if models is not None:
            rows = rows.filter(model__among=sorted(models)) if models else rows.none()
        self._by_model: dict[str, list[PriceOverride]] = {}
        for row in sorted(rows, key=lambda row: row.starts_on, reverse=True):
            self._by_model.setdefault(row.model, []).append(row)

    def find(self, model: str, day: date) -> Override | None:
        """The override in force for a model on a day of the billing zone; None if there is none."""
        for row in self._by_model.get(model, ()):
            if row.starts_on <= day:
                return Override(_rates(row), f"override of {row.starts_on}")
        return None

    def __bool__(self) -> bool:
        return bool(self._by_model)


def _rates(row: PriceOverride) -> Rates:
    return Rates(
        input=row.input_rate,
        output=row.output_rate,
        cache_read=row.cache_read_rate,
        cache_write=row.cache_write_rate,
        cache_write_1h=row.cache_write_1h_rate,
    )


@transaction.atomic
def save(override: PriceOverride, *, by: Any) -> None:
    override.save()
    audit.record(audit.Kind.PRICE_SET, by=by, project=override.project, detail=_summary(override))


@transaction.atomic
def remove(override: PriceOverride, *, by: Any) -> None:
    audit.record(audit.Kind.PRICE_REMOVED, by=by, project=override.project, detail=_summary(override))
    override.delete()


def _summary(override: PriceOverride) -> str:
    prices = f"{override.input_rate} / {override.output_rate} dollars a million tokens"
    return f"{override.model} from {override.starts_on}: {prices}"
