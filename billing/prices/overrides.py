"""A project's own prices: dated overrides of the price list, set in admin by the functions below."""

from collections.abc import Collection
from datetime import date
from typing import Any

from django.db import transaction

from billing.models import PriceOverride
from billing.prices.price_list import Rates
from products import audit
from products.models import Project


class OwnPrices:
    """The overrides of a project for some models, or all, read at once."""

    def __init__(self, project: Project, models: Collection[str] | None = None) -> None:
        rows = PriceOverride.objects.filter(project=project)
        if models is not None:
            rows = rows.filter(model__among=sorted(models)) if models else rows.none()
        self._of: dict[str, list[PriceOverride]] = {}
        for row in sorted(rows, key=lambda row: row.starts_on, reverse=True):
            self._of.setdefault(row.model, []).append(row)

    def rates(self, model: str, day: date) -> Rates | None:
        """What is in force for a model on a day of the billing zone; None without an override."""
        return next((_rates(row) for row in self._of.get(model, ()) if row.starts_on <= day), None)

    def __bool__(self) -> bool:
        return bool(self._of)


def _rates(row: PriceOverride) -> Rates:
    return Rates(
        input=row.input_rate,
        output=row.output_rate,
        cache_read=row.cache_read_rate,
        cache_write=row.cache_write_rate,
        cache_write_1h=row.cache_write_1h_rate,
    )


@transaction.atomic
def keep(override: PriceOverride, *, by: Any) -> None:
    override.save()
    audit.record(audit.Kind.PRICE_SET, by=by, project=override.project, detail=_told(override))


@transaction.atomic
def drop(override: PriceOverride, *, by: Any) -> None:
    audit.record(audit.Kind.PRICE_REMOVED, by=by, project=override.project, detail=_told(override))
    override.delete()


def _told(override: PriceOverride) -> str:
    prices = f"{override.input_rate} / {override.output_rate} dollars a million tokens"
    return f"{override.model} from {override.starts_on}: {prices}"
