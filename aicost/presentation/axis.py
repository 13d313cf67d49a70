"""The value axis of charts: a few round gridlines, and the positions of values between them."""

from dataclasses import dataclass

from aicost.formatting import text
from billing import money

MAX_LINES = 4
_STEPS = (10, 20, 25, 50, 100)


@dataclass(frozen=True)
class Tick:
    nanos: int
    label: str
    top: str
    """Percent from the top."""


def ticks(highest: int) -> list[Tick]:
    """From zero to the first round line at or above the highest value; at most four lines above zero."""
    if highest <= 0:  # usage without a known price still gets an axis with a unit
        highest = money.NANOS_PER_DOLLAR
    step = _step(highest)
    count = -(-highest // step)
    return [
        Tick(step * index, text.money_short(step * index), f"{100 - 100 * index / count:.5g}")
        for index in range(count + 1)
    ]


def _step(highest: int) -> int:
    """The smallest of 1, 2, 2.5, 5 × 10ⁿ that reaches the highest value in four steps."""
    power = 1
    while True:
        for tenths in _STEPS:
            if tenths * power % 10 == 0 and tenths * power // 10 * MAX_LINES >= highest:
                return tenths * power // 10
        power *= 10


def from_top(value: int, top: int) -> str:
    """The top of a bar, in percent from the top of the chart. A value above zero is always visible."""
    if value <= 0:
        return "100"
    return f"{min(100 - 100 * value / top, 99.2):.5g}"


def percent_class(value: int, highest: int) -> int:
    """For bars drawn with CSS classes, in whole percent: at least 1 for a value above zero, otherwise 0."""
    if value <= 0 or highest <= 0:
        return 0
    return max(round(100 * value / highest), 1)


def width(value: int, highest: int) -> str:
    """The width of a horizontal bar, in percent: at least 0.5 for a value above zero, otherwise 0."""
    if value <= 0 or highest <= 0:
        return "0"
    return f"{max(100 * value / highest, 0.5):.4g}"
