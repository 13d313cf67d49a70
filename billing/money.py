"""Money as whole nano-dollars, the grain of `google.type.Money`: sums are exact on every database."""

from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Literal

NANOS_PER_DOLLAR = 1_000_000_000

BudgetState = Literal["green", "yellow", "red"]
YELLOW_PERCENT = 80
RED_PERCENT = 100

# More digits than any amount of the ledger: a million dollars in nano-dollars has 16.
_CONTEXT = Context(prec=40, rounding=ROUND_HALF_EVEN)
_NANO = Decimal(1).scaleb(-9)


def nanos_from_dollars(dollars: Decimal) -> int:
    """Whole nano-dollars, rounded once, half to even. `dollars` is finite and below 10³⁰."""
    return int(dollars.quantize(_NANO, context=_CONTEXT).scaleb(9, context=_CONTEXT))


def nanos_from_credits(credits_: Decimal, credits_per_dollar: int) -> int:
    """Whole nano-dollars, rounded once, half to even; the quotient is exact until then."""
    if credits_.adjusted() < -40:  # far below any rounding step; its exact fraction would be huge
        return 0
    return round(Fraction(credits_) * NANOS_PER_DOLLAR / credits_per_dollar)


def dollars(nanos: int) -> float:
    """Dollars as JSON has them. Correctly rounded, being one division of integers."""
    return nanos / NANOS_PER_DOLLAR


def decimal_dollars(nanos: int) -> Decimal:
    """Exact dollars."""
    return Decimal(nanos).scaleb(-9, context=_CONTEXT)


def plain(amount: Decimal) -> str:
    """The shortest plain decimal string: `250`, `99.5`; never an exponent."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def exact(nanos: int) -> str:
    """Dollars with every digit: `$1234.5`, `-$0.000001`."""
    sign = "-" if nanos < 0 else ""
    return f"{sign}${plain(decimal_dollars(abs(nanos)))}"


def change(nanos: int) -> str:
    """The same with its sign: `+$1`, `-$1`."""
    return exact(nanos) if nanos < 0 else f"+{exact(nanos)}"


def text(nanos: int) -> str:
    """`$1,234.56`; amounts below a dollar have enough digits not to read as zero. The minus is U+2212."""
    amount = _rounded(abs(decimal_dollars(nanos)))
    places = 2 if amount == round(amount, 2) else -int(amount.as_tuple().exponent)
    sign = "\u2212" if nanos < 0 else ""
    return f"{sign}${amount:,.{places}f}"


def _rounded(dollars: Decimal) -> Decimal:
    """Cents from a dollar upwards, else 4 decimals, or more where these would not show two digits."""
    places = 2 if dollars >= 1 or not dollars else min(max(4, 1 - dollars.adjusted()), 9)
    return dollars.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)


def percent(part: int, whole: int) -> float:
    """`part` as a percentage of `whole`; 0 if the whole is not positive."""
    return part * 100 / whole if whole > 0 else 0.0


def budget_percent(spend: int, limit: int) -> float:
    """The percentage of the limit that is spent. Both are in nano-dollars, and the limit is positive."""
    return spend * 100 / limit


def budget_state(spend: int, limit: int) -> BudgetState:
    """Decided on exact integers, so that 79.999999999 % is green and 80 % is yellow."""
    if spend * 100 < limit * YELLOW_PERCENT:
        return "green"
    return "yellow" if spend * 100 < limit * RED_PERCENT else "red"


def cut_percent(spend: int, limit: int) -> Decimal:
    """A percentage with one decimal, cut towards zero, so that 99.97 % reads 99.9 and not 100."""
    tenths = abs(spend) * 1000 // limit
    return Decimal(tenths if spend >= 0 else -tenths).scaleb(-1)
