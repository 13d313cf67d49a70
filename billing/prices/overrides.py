"""A project's price overrides: dated prices that take precedence over the price list."""

from collections.abc import Collection
from datetime import date
from typing import Any, NamedTuple

from django.db import transaction

from billing.events.price_factors import NO_FACTORS, PriceFactors, words
from billing.models import PriceOverride
from billing.prices.price_list import Rates
from products import audit
from products.models import Project


class Override(NamedTuple):
    """A price that takes precedence over the price list."""

    rates: Rates
    source: str
    """`override`, its factor and its first day."""
    factor: str = ""
    """The factor whose effect is in the rates, as `price_factors.words` writes it."""


class PriceOverrides:
    """A project's overrides for some models, or for all of them, read in one query."""

    def __init__(self, project: Project, models: Collection[str] | None = None) -> None:
        rows = PriceOverride.objects.filter(project=project)
        if models is not None:
            rows = rows.filter(model__among=sorted(models)) if models else rows.none()
        self.rows = list(rows)
        """By model, factor and day, the latest first."""
        self._by_model: dict[str, list[PriceOverride]] = {}
        for row in sorted(self.rows, key=lambda row: row.starts_on, reverse=True):
            self._by_model.setdefault(row.model, []).append(row)

    def find(self, model: str, day: date, factors: PriceFactors = NO_FACTORS) -> Override | None:
        """The override in force for a model on a day of the billing zone; None if there is none.

        One for a factor of the call comes before one for the model.
        """
        rows = [row for row in self._by_model.get(model, ()) if row.starts_on <= day]
        for factor in (*words(factors), "") if rows else ():
            for row in rows:
                if row.factor == factor:
                    return Override(rates_of(row), _source(row), factor)
        return None

    def starts(self, model: str, after: date, until: date) -> list[date]:
        """The days on which an override for calls without a factor starts."""
        rows = self._by_model.get(model, ())
        return [row.starts_on for row in rows if after < row.starts_on <= until and not row.factor]

    def __bool__(self) -> bool:
        return bool(self._by_model)


def _source(row: PriceOverride) -> str:
    return f"override {row.factor} of {row.starts_on}" if row.factor else f"override of {row.starts_on}"


def rates_of(row: PriceOverride) -> Rates:
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
def put(override: PriceOverride, *, by: Any) -> None:
    """Save an override in place of one for the same model and factor that starts on the same day."""
    same = {"model": override.model, "factor": override.factor, "starts_on": override.starts_on}
    PriceOverride.objects.filter(project=override.project, **same).delete()
    save(override, by=by)


@transaction.atomic
def remove(override: PriceOverride, *, by: Any) -> None:
    audit.record(audit.Kind.PRICE_REMOVED, by=by, project=override.project, detail=_summary(override))
    override.delete()


def _summary(override: PriceOverride) -> str:
    prices = f"{override.input_rate} / {override.output_rate} dollars a million tokens"
    model = f"{override.model} with {override.factor}" if override.factor else override.model
    return f"{model} from {override.starts_on}: {prices}"
