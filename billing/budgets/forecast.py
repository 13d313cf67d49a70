"""Forecast of a month's spend at its end, with a range, and of the day when the limit is reached. No ORM.

It is the *average method* of Hyndman & Athanasopoulos, "Forecasting: Principles and Practice" (3rd ed.,
https://otexts.com/fpp3/), section 5.2: each remaining day costs as much as the average day. The average is
over the days of this month, but at least the last seven: a month's first week is judged by the week before
it, and a weekend is always included. Days before the first spend of the last eight weeks are left out, so
that a late start does not lower the average.

The range is the average method's prediction interval (section 5.5) for the sum of the h remaining days,
±t·σ·√(h + h²/n) with n days averaged, at 80 percent. σ is the standard deviation of the days of the last
eight weeks, widened by √((1+ρ)/(1−ρ)) if busy days come in runs (ρ is the correlation of neighbouring days,
as for a first-order autoregression). Refunds are not expected: the forecast is never below what is spent.

`tests/benchmarks/forecast.py` compares forecasts with the actual spend. Weekday profiles and longer windows
did worse on real months.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from math import sqrt
from statistics import fmean, stdev

from billing import periods

NEEDED = 3
"""Days with spend that a forecast needs at least."""
HISTORY = 56
"""Days that a forecast looks back, today included."""
MIN_DAYS = 7
"""Days averaged at least, if there are that many."""
_MAX_CORRELATION = 0.6

Days = Mapping[date, int]
"""Nano-dollars spent by day; days without spend may be left out."""


@dataclass(frozen=True)
class Forecast:
    """Nano-dollars. Eight of ten months end between `low` and `high`, if spending continues as before."""

    spent: int
    month_end: int
    low: int
    high: int
    limit_passed_on: date | None
    """The day when the limit was or will be reached; None if it will not be, or there is no limit."""


@dataclass(frozen=True)
class NotYet:
    """There is not enough data for a forecast."""

    days_with_spend: int


def first_day(today: date) -> date:
    """The earliest day that a forecast on `today` takes into account."""
    return today - timedelta(days=HISTORY - 1)


def forecast(days: Days, today: date, elapsed: float, limit: int | None = None) -> Forecast | NotYet:
    """Forecast the month of `today`. `elapsed` is the part of today that is over, from 0 to 1."""
    history = _since_first_spend([days.get(day, 0) for day in periods.days_ending(today, HISTORY)])
    spending = sum(cost > 0 for cost in history)
    if spending < NEEDED:
        return NotYet(spending)
    averaged = history[-max(MIN_DAYS, today.day) :]
    weight = len(averaged) - 1 + elapsed  # in days; today counts by what has elapsed
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
    """Spend from the first day of the month to the end of `day`."""
    return sum(days.get(one, 0) for one in periods.days_between(periods.month_of(day), day))


def _margin(costs: Sequence[int], left: float, averaged: float, degrees: int) -> float:
    """Half the range: how far the sum of the remaining days may be from that many average days."""
    student = 1.28 + 0.9 / degrees  # the 90 % quantile of Student's t, to a few percent
    correlation = _correlation(costs)
    return (
        student * stdev(costs) * sqrt((1 + correlation) / (1 - correlation) * (left + left * left / averaged))
    )


def _correlation(costs: Sequence[int]) -> float:
    """Correlation of each day with the day before, limited to between 0 and 0.6."""
    mean = fmean(costs)
    offsets = [cost - mean for cost in costs]
    spread = sum(offset * offset for offset in offsets)
    if not spread:
        return 0.0
    products = sum(day * next_day for day, next_day in pairwise(offsets))
    return min(max(products / spread, 0.0), _MAX_CORRELATION)


def _passed_on(days: Days, today: date, elapsed: float, pace: float, limit: int) -> date | None:
    spent = _spent(days, today)
    if spent >= limit:
        return _reached_on(days, today, limit)
    for index, day in enumerate(periods.days_between(today, periods.last_day(today))):
        if spent + round(pace * (index + 1 - elapsed)) >= limit:
            return day
    return None


def _reached_on(days: Days, today: date, limit: int) -> date:
    """The day since which the month's spend has been at or above the limit."""
    day = today
    while day.day > 1 and _spent(days, day - timedelta(days=1)) >= limit:
        day -= timedelta(days=1)
    return day
