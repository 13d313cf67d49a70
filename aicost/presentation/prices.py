"""The prices page: models of the quarter, prices of one's own, and costs that are missing."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from aicost.formatting import text
from aicost.presentation.dashboard.unpriced import factor_words
from aicost.queries import Missing, ModelPrice, Prices
from aicost.queries.prices import Period
from billing.ledger.missing_costs import Receipt
from billing.models import PriceOverride
from billing.prices.overrides import rates_of
from billing.prices.price_list import Rates
from billing.prices.quotes import FactorPrice, Quote

TOO_MANY = (
    "There are too many calls to price in a request. Ask an administrator to run manage.py price_unpriced. "
    "Nothing has been booked."
)


class Rate(NamedTuple):
    label: str
    dollars: str


@dataclass(frozen=True)
class Model:
    name: str
    named: bool
    calls: str
    note: str
    """What is missing from its costs."""
    rates: list[Rate]
    """The latest price; none if no price is known."""
    earlier: str
    """Earlier prices of the quarter, in words; "" if there is none."""
    thousand: str
    source: str
    factors: str


@dataclass(frozen=True)
class OwnPrice:
    pk: int
    model: str
    factor: str
    since: str
    rates: str
    """In words."""


@dataclass(frozen=True)
class PreviewRow:
    model: str
    calls: str
    result: str


def page(found: Prices, missing: Missing, preview: Receipt | None, *, too_many: bool) -> dict[str, Any]:
    return {
        "since": text.long_day(found.since),
        "models": [_model(model) for model in found.models],
        "others": f"and {text.plural(found.others, 'more model')}" if found.others else "",
        "own": [_own(override) for override in found.own],
        "missing": _missing(missing),
        "too_many": TOO_MANY if too_many and any(missing) else "",
        "preview": None if preview is None else list(_preview(preview)),
        "bookable": "" if preview is None else _bookable(preview),
    }


def _model(found: ModelPrice) -> Model:
    quote = found.listed if isinstance(found.listed, Quote) else None
    return Model(
        name=found.model or "no model given",
        named=bool(found.model),
        calls=text.count(found.calls),
        note=_note(found),
        rates=_rates(found.periods[0].rates) if found.periods else [],
        earlier="; ".join(map(_earlier, found.periods[1:])),
        thousand="—" if found.thousand_nanos is None else text.money(found.thousand_nanos),
        source=_source(found),
        factors=", ".join(map(_factor, quote.factors)) if quote else "",
    )


def _earlier(period: Period) -> str:
    return f"from {text.day(period.first_day)}: {_in_words(period.rates)}"


def _in_words(rates: Rates) -> str:
    return ", ".join(f"{label} {dollars}" for label, dollars in _rates(rates))


def _source(found: ModelPrice) -> str:
    if found.periods and found.periods[0].is_own:
        return "own price"
    return f"price list: {found.listed.listed_as}" if isinstance(found.listed, Quote) else found.listed


def _note(found: ModelPrice) -> str:
    notes = []
    if found.unpriced:
        notes.append(f"{text.plural(found.unpriced, 'call')} booked without a price")
    if found.without:
        notes.append(f"{text.plural(found.without, 'call')} priced without a factor")
    return ", ".join(notes)


_CLASSES = ("input", "cache read", "cache write", "1-hour write", "output")


def _rates(given: Rates) -> list[Rate]:
    return [Rate(label, dollars(value)) for label, value in zip(_CLASSES, given.by_class, strict=True)]


def dollars(value: Decimal) -> str:
    """At least cents, and every further digit."""
    plain = f"{value.normalize():f}"
    whole, _, fraction = plain.partition(".")
    return f"${int(whole):,}.{fraction.ljust(2, '0')}"


def _factor(known: FactorPrice) -> str:
    words = factor_words(known.factor)
    if known.multiplier is not None:
        return f"{words} × {known.multiplier.quantize(Decimal('0.001')).normalize():f}"
    assert known.dollars_each is not None
    return f"{words} {dollars(known.dollars_each * 1_000)} a thousand"


def _own(override: PriceOverride) -> OwnPrice:
    factor = factor_words(override.factor) if override.factor else ""
    rates = _in_words(rates_of(override))
    return OwnPrice(override.pk, override.model, factor, text.day(override.starts_on), rates)


def _missing(missing: Missing) -> str:
    """In a sentence; "" if nothing is missing."""
    parts = []
    if missing.unpriced:
        parts.append(f"{text.plural(missing.unpriced, 'call')} without a price")
    if missing.without:
        parts.append(f"{text.plural(missing.without, 'call')} priced without a reported factor")
    return f"The ledger has {' and '.join(parts)}." if parts else ""


def _preview(receipt: Receipt) -> Iterator[PreviewRow]:
    for model, count in receipt.priced.most_common():
        yield PreviewRow(model, text.count(count), f"adds {text.money(receipt.nanos[model])}")
    for model, count in receipt.completed.most_common():
        change = receipt.changed_nanos[model]
        verb = "takes off" if change < 0 else "adds"
        yield PreviewRow(model, text.count(count), f"{verb} {text.money(abs(change))} for a factor")
    for (model, obstacle), count in (receipt.unpriced + receipt.incomplete).most_common():
        yield PreviewRow(model, text.count(count), f"stays as it is: {obstacle}")


def _change(receipt: Receipt) -> int:
    return receipt.nanos.total() + receipt.changed_nanos.total()


def _bookable(receipt: Receipt) -> str:
    """The label of the button; "" if nothing can be booked."""
    number = receipt.priced.total() + receipt.completed.total()
    return f"Book {text.money(_change(receipt))} for {text.plural(number, 'call')}" if number else ""


def booked(receipt: Receipt) -> str:
    number = receipt.priced.total() + receipt.completed.total()
    if not number:
        return "Nothing could be priced yet, so nothing has been booked."
    return f"{text.money(_change(receipt))} has been booked for {text.plural(number, 'call')}."


def saved(override: PriceOverride) -> str:
    since = text.day(override.starts_on)
    into, out = dollars(override.input_rate), dollars(override.output_rate)
    return (
        f"From {since} on, {override.model} costs {into} for a million input tokens and {out} for a million "
        "output tokens. Costs that are booked already stay as they are."
    )


def removed(override: PriceOverride) -> str:
    return f"The price of {override.model} from {text.day(override.starts_on)} has been removed."
