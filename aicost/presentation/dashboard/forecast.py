"""The forecast of a month in words, and where it stands on the budget bar."""

from dataclasses import dataclass, replace

from aicost.formatting import text
from aicost.queries import BudgetForecast, RunningJobs
from billing import periods
from billing.budgets import forecast
from billing.budgets.forecast import Forecast, NotYet
from billing.budgets.limits import BudgetStatus
from billing.money import YELLOW_PERCENT

METHOD = (
    "Each remaining day is expected to cost as much as the average day of this month so far; in the first "
    f"week of a month, as the average of the last {forecast.MIN_DAYS} days. Days before the first spend in "
    f"the last {forecast.HISTORY // 7} weeks do not count. In eight of ten months, the total should end "
    "within the range, if days vary as they did in these weeks. Running jobs are part of this pace; a job "
    "that has been silent for 24 hours is considered lost. This is the average method of Hyndman and "
    "Athanasopoulos, “Forecasting: Principles and Practice”."
)


@dataclass(frozen=True)
class Outlook:
    """What is said of a month's end."""

    possible: bool
    headline: str
    range: str
    passing: str
    """Whether and when the limit is passed; "" without a limit."""
    running: str
    method: str = METHOD


def outlook(found: BudgetForecast, budget: BudgetStatus | None) -> Outlook:
    ahead = found.outlook
    if isinstance(ahead, NotYet):
        so_far = f"{ahead.days_with_spend or 'none'} so far"
        headline = f"No forecast yet: it needs {forecast.NEEDED} days with spend, {so_far}."
        return Outlook(False, headline, "", "", _running(found.running))
    end = text.long_day(periods.last_day(found.month))
    return Outlook(
        possible=True,
        headline=f"Forecast {text.money(ahead.month_end)} by {end}",
        range=f"between {text.money(ahead.low)} and {text.money(ahead.high)}",
        passing=_passing(ahead, budget) if budget else "",
        running=_running(found.running),
    )


def _passing(ahead: Forecast, budget: BudgetStatus) -> str:
    day = ahead.limit_passed_on
    if day:
        if budget.state == "red":
            return f"The limit was reached on {text.long_day(day)}."
        return f"At this pace the limit is passed on {text.long_day(day)}."
    if ahead.high >= budget.limit_nanos:
        return "At this pace the limit holds, but the range reaches beyond it."
    return "At this pace the limit holds."


def _running(running: RunningJobs) -> str:
    if not running.jobs:
        return ""
    are = f"{text.plural(running.jobs, 'job')} {'is' if running.jobs == 1 else 'are'} running"
    if running.exposure is None:
        return f"{are}; what such jobs usually cost is not known yet."
    return f"{are}; at the usual cost of their kind that is about {text.money(running.exposure)} more."


@dataclass(frozen=True)
class Marks:
    """Where things stand on the bar, in percent of its width."""

    spent: str
    warning: str
    limit: str
    """Where the bar goes on beyond the limit; "" where it ends with it."""
    low: str = ""
    range: str = ""
    """The width from low to high."""
    month_end: str = ""
    """"" where there is no forecast to mark."""
    beyond: bool = False
    """The forecast lies to the right of the bar."""


def marks(budget: BudgetStatus, found: BudgetForecast | None) -> Marks:
    """The bar ends with the limit, or as far as the forecast's range goes, at most at twice the limit."""
    limit = budget.limit_nanos
    ahead = found.outlook if found else None
    high = ahead.high if isinstance(ahead, Forecast) else limit
    top = min(max(limit, high), 2 * limit)

    def at(nanos: int) -> float:
        return min(max(nanos, 0) * 100 / top, 100.0)

    plain = Marks(
        spent=_percent(at(budget.spent_nanos)),
        warning=_percent(at(limit) * YELLOW_PERCENT / 100),
        limit=_percent(at(limit)) if top > limit else "",
    )
    if not isinstance(ahead, Forecast):
        return plain
    return replace(
        plain,
        low=_percent(at(ahead.low)),
        range=_percent(at(ahead.high) - at(ahead.low)),
        month_end=_percent(at(ahead.month_end)),
        beyond=ahead.month_end > top,
    )


def _percent(value: float) -> str:
    return f"{value:.5g}"
