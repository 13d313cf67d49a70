"""What a month will have cost at its end, with a range, and when its limit will be passed. Pure: no ORM.

The *average method* of Hyndman & Athanasopoulos, "Forecasting: Principles and Practice" (3rd ed.,
https://otexts.com/fpp3/), section 5.2: each day to come costs what the average day did. Averaged are
the days of this month, never fewer than the last seven, so that a month's first week is judged by the
week before it and a weekend is always among them; days before the first spend of the last eight weeks
are left out, so that a product's late start is not taken for thrift.

The range is the average method's prediction interval (section 5.5) for the sum of the h days to come,
±t·σ·√(h + h²/n) with n days averaged, at 80 percent. σ is the spread of the days of the last eight weeks,
widened by √((1+ρ)/(1−ρ)) where busy days come in runs (ρ, the correlation of neighbouring days, as for
a first-order autoregression). No refund is counted on: the end is never below what is spent.

`tests/benchmarks/forecast.py` compares it with what came, as it does weekday profiles and longer windows,
which were worse on real months.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from math import sqrt
from statistics import fmean, stdev

from billing import periods

NEEDED = 3
"""Days with spend without which nothing is forecast."""
HISTORY = 56
"""Days looked back on, today included."""
LEAST = 7
"""Days averaged at least, where there are so many."""
_MOST_ALIKE = 0.6

Days = Mapping[date, int]
"""Nano-dollars spent by day; days without spend may be left out."""


@dataclass(frozen=True)
class Forecast:
    """Nano-dollars. Of ten months eight end between `low` and `high`, if days go on as before."""

    spent: int
    month_end: int
    low: int
    high: int
    limit_passed_on: date | None
    """When the limit was, or will be, reached; None where it will not, or where there is none."""


@dataclass(frozen=True)
class NotYet:
    """Too little is known for a forecast."""

    days_with_spend: int


def first_day(today: date) -> date:
    """The earliest day that a forecast looks at."""
    return today - timedelta(days=HISTORY - 1)


def forecast(days: Days, today: date, elapsed: float, limit: int | None = None) -> Forecast | NotYet:
    """The month that holds `today`, of which a part (0 to 1) has elapsed."""
    history = _since_first_spend([days.get(day, 0) for day in periods.days_ending(today, HISTORY)])
    spending = sum(cost > 0 for cost in history)
    if spending < NEEDED:
        return NotYet(spending)
    averaged = history[-max(LEAST, today.day) :]
    weight = len(averaged) - 1 + elapsed  # in days: of today only what has elapsed
    pace = max(sum(averaged) / weight, 0.0)
    left = (periods.last_day(today) - today).days + 1 - elapsed
    spent = _spent(days, today)
    whole_days = history if elapsed >= 1 else history[:-1]
    margin = _margin(whole_days, left, weight, degrees=len(averaged) - 1)
    return Forecast(
        spent=spent,
        month_end=spent + round(pace * left),
        low=spent + round(max(pace * left - margin, 0.0)),
        high=spent + round(pace * left + margin),
        limit_passed_on=None if limit is None else _passed_on(days, today, elapsed, pace, limit),
    )


def _since_first_spend(costs: list[int]) -> list[int]:
    first = next((index for index, cost in enumerate(costs) if cost > 0), len(costs))
    return costs[first:]


def _spent(days: Days, day: date) -> int:
    """From the first day of the month to the end of `day`."""
    return sum(days.get(one, 0) for one in periods.days_between(periods.month_of(day), day))


def _margin(costs: Sequence[int], left: float, averaged: float, degrees: int) -> float:
    """Half the range: how far the sum of the days left may be from so many average ones."""
    student = 1.28 + 0.9 / degrees  # the 90 % quantile of Student's t, to a few percent
    alike = _likeness(costs)
    return student * stdev(costs) * sqrt((1 + alike) / (1 - alike) * (left + left * left / averaged))


def _likeness(costs: Sequence[int]) -> float:
    """How much a day is like the one before: their correlation, from 0 (not at all) to 0.6."""
    mean = fmean(costs)
    offsets = [cost - mean for cost in costs]
    spread = sum(offset * offset for offset in offsets)
    if not spread:
        return 0.0
    together = sum(one * after for one, after in pairwise(offsets))
    return min(max(together / spread, 0.0), _MOST_ALIKE)


def _passed_on(days: Days, today: date, elapsed: float, pace: float, limit: int) -> date | None:
    spent = _spent(days, today)
    if spent >= limit:
        return _reached_on(days, today, limit)
    for ahead, day in enumerate(periods.days_between(today, periods.last_day(today))):
        if spent + round(pace * (ahead + 1 - elapsed)) >= limit:
            return day
    return None


def _reached_on(days: Days, today: date, limit: int) -> date:
    """The day since which the month's spend has stood at the limit or above."""
    day = today
    while day.day > 1 and _spent(days, day - timedelta(days=1)) >= limit:
        day -= timedelta(days=1)
    return day
