"""The value axis of charts: a few round gridlines, and where a value stands between them."""

from dataclasses import dataclass

from aicost.formatting import text
from billing import money

MOST_LINES = 4
_STEPS = (10, 20, 25, 50, 100)


@dataclass(frozen=True)
class Tick:
    nanos: int
    label: str
    top: str
    """Percent from above."""


def ticks(highest: int) -> list[Tick]:
    """From zero to the first round line at or above the highest value; at most four lines above zero."""
    if highest <= 0:  # usage without a known price: an axis still says what it measures
        highest = money.NANOS_PER_DOLLAR
    step = _step(highest)
    count = -(-highest // step)
    return [
        Tick(step * index, text.money_short(step * index), f"{100 - 100 * index / count:.5g}")
        for index in range(count + 1)
    ]


def _step(highest: int) -> int:
    """The smallest of 1, 2, 2.5, 5 × 10ⁿ that reaches the highest value in four."""
    power = 1
    while True:
        for tenths in _STEPS:
            if tenths * power % 10 == 0 and tenths * power // 10 * MOST_LINES >= highest:
                return tenths * power // 10
        power *= 10


def from_above(value: int, top: int) -> str:
    """Where a bar begins, in percent from above. Nothing and less stand at the foot; else a trace is seen."""
    if value <= 0:
        return "100"
    return f"{min(100 - 100 * value / top, 99.2):.5g}"


def percent_class(value: int, highest: int) -> int:
    """The whole percent of a bar drawn by class: at least 1 for what is there, 0 for nothing and less."""
    if value <= 0 or highest <= 0:
        return 0
    return max(round(100 * value / highest), 1)


def width(value: int, highest: int) -> str:
    """Percent of a lying bar; 0 for nothing and less."""
    if value <= 0 or highest <= 0:
        return "0"
    return f"{max(100 * value / highest, 0.5):.4g}"
