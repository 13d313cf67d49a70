"""Numbers, money and dates as text: pure functions that every page uses.

The minus sign is U+2212. The space before a unit is a no-break space.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from django.utils import dateformat

from billing import money as billing_money

NONE = "—"
_MINUS = "\u2212"
_SPACE = "\u00a0"
_UNITS = (
    (Decimal(10) ** 12, "T"),
    (Decimal(10) ** 9, "B"),
    (Decimal(10) ** 6, "M"),
    (Decimal(10) ** 3, "K"),
)


def _decimal(value: Decimal | int, places: int = 0) -> str:
    """Rounded half to even, with thousands separators."""
    return f"{value:,.{places}f}".replace("-", _MINUS)


def _trimmed(value: Decimal) -> str:
    """At most two decimals, without trailing zeros."""
    return _decimal(value, 2).rstrip("0").rstrip(".")


def _signed(value: Decimal | int, text: str) -> str:
    return _MINUS + text if value < 0 else text


def money(nanos: int) -> str:
    """`$1,234.56`; below a dollar, enough digits that an amount never reads as zero."""
    return billing_money.text(nanos)


def cents(nanos: int) -> str:
    """`$0.68`, for columns that compare amounts. An amount below a cent is `<$0.01`, never `$0.00`."""
    dollars = round(abs(billing_money.decimal_dollars(nanos)), 2)
    if nanos and not dollars:
        return _signed(nanos, "<$0.01")
    return _signed(nanos, "$" + _decimal(dollars, 2))


def money_short(nanos: int) -> str:
    """For axes and bar labels: `$1.2K`, `$250`, `$0.50`."""
    dollars = abs(billing_money.decimal_dollars(nanos))
    if dollars < 1000:
        return _signed(nanos, f"${_decimal(dollars)}") if dollars == int(dollars) else money(nanos)
    scaled, letter = _scaled(dollars, 2)
    return _signed(nanos, f"${_trimmed(scaled)}{letter}")


def exact_dollars(nanos: int) -> str:
    """Dollars with every digit, for machines and tooltips."""
    return billing_money.plain(billing_money.decimal_dollars(nanos))


def credits(nanos: int, per_dollar: int) -> str:
    """An amount in credits: `1,234 credits`, at most two decimals below a thousand."""
    amount = billing_money.decimal_dollars(nanos) * per_dollar
    text = _decimal(amount) if abs(amount) >= 1000 else _trimmed(amount)
    return f"{'<0.01' if amount and text.strip(_MINUS) == '0' else text} credits"


def count(number: int) -> str:
    return _decimal(number)


def compact(number: int) -> str:
    """`950`, `12.3K`, `1.0M`: always one decimal from a thousand on, so that columns line up."""
    scaled, letter = _scaled(Decimal(abs(number)), 1)
    return _signed(number, _decimal(scaled, 1 if letter else 0) + letter)


def _scaled(number: Decimal, places: int) -> tuple[Decimal, str]:
    """The number in the largest unit that fits it, and the unit's letter; "" below a thousand."""
    if number < 1000:
        return number, ""
    # A number that rounds up to the next unit uses that unit: 999,990 is 1.0M, not 1000.0K.
    unit, letter = next(pair for pair in _UNITS if round(number / pair[0], places) >= 1)
    return number / unit, letter


def plural(number: int, noun: str, plural_noun: str = "") -> str:
    """`1 job`, `2 jobs`."""
    return f"{count(number)} {noun if number == 1 else plural_noun or noun + 's'}"


def percent(value: float) -> str:
    """One decimal. A value that rounds to zero is `<0.1 %`; only zero reads `0.0 %`."""
    if value and abs(value) < 0.05:
        return _signed(Decimal(value), f"<0.1{_SPACE}%")
    return f"{_decimal(Decimal(value), 1)}{_SPACE}%"


def cut_percent(value: Decimal) -> str:
    """A percentage that is already cut to one decimal."""
    return f"{_decimal(value, 1)}{_SPACE}%"


def change(value: float, unit: str = "%") -> str:
    """A change with its sign: `+12.4 %`, `−3.0 pts`."""
    size = abs(value)
    text = "<0.1" if size < 0.05 else _decimal(Decimal(size), 1 if size < 1000 else 0)
    return f"{_MINUS if value < 0 else '+'}{text}{_SPACE}{unit}"


def day(value: date) -> str:
    return _date(value, "j M Y")


def short_day(value: date) -> str:
    return _date(value, "j M")


def long_day(value: date) -> str:
    return _date(value, "j F")


def weekday(value: date) -> str:
    return _date(value, "D j M Y")


def month(value: date) -> str:
    return _date(value, "F Y")


def short_month(value: date) -> str:
    return _date(value, "M Y")


@lru_cache(2_000)  # every page repeats the same days and months
def _date(value: date, pattern: str) -> str:
    return dateformat.format(value, pattern)


def day_span(first: date, last: date) -> str:
    """A span of days within a month: `1–24 Oct`, `1 Oct`, or `Oct 2026` for the whole month."""
    if first.day == 1 and (last.toordinal() - first.toordinal()) >= 27 and _ends_month(last):
        return short_month(first)
    return short_day(first) if first == last else f"{first.day}–{short_day(last)}"


def _ends_month(day: date) -> bool:
    return date.fromordinal(day.toordinal() + 1).day == 1


def instant(value: datetime, zone: ZoneInfo) -> str:
    """`24 Nov 2026, 14:05` in the given time zone."""
    local = value.astimezone(zone)
    return f"{day(local.date())}, {local:%H:%M}"


def utc(value: datetime) -> str:
    """An instant for machines: ISO 8601 in UTC, with `Z`."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def duration(seconds: float) -> str:
    """The two largest units: `42 s`, `3 min 5 s`, `2 h 4 min`, `3 d 1 h`."""
    whole = int(max(seconds, 0))
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    for (size, unit), (smaller_size, smaller_unit) in pairwise(units):
        if whole >= size:
            rest = whole % size // smaller_size
            return f"{whole // size}{_SPACE}{unit}" + (f" {rest}{_SPACE}{smaller_unit}" if rest else "")
    return f"{whole}{_SPACE}s"
