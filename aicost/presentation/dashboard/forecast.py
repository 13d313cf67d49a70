"""The forecast of a month in words, and its marks on the budget bar."""

from dataclasses import dataclass, replace

from aicost.formatting import text
from aicost.queries import BudgetForecast, RunningJobs
from billing import periods
from billing.budgets.forecast import HISTORY, MIN_DAYS, NEEDED, Forecast, NotYet
from billing.budgets.limits import BudgetStatus
from billing.money import YELLOW_PERCENT

METHOD = (
    "Each remaining day is expected to cost as much as the average day of this month so far or, in the first "
    f"week of a month, of the last {MIN_DAYS} days. Days before the first spend in the last {HISTORY // 7} "
    "weeks do not count. In eight of ten months, the total should end within the range, if days vary as they "
    "did in these weeks. Running jobs are part of this pace; a job that has been silent for 24 hours is "
    "considered lost. This is the average method of Hyndman and Athanasopoulos, “Forecasting: Principles and "
    "Practice”."
)


@dataclass(frozen=True)
class Outlook:
    """How the month is expected to end, in words."""

    possible: bool
    headline: str
    range: str
    passing: str
    """Whether and when spend passes the limit; "" without a limit."""
    running: str
    method: str = METHOD


def outlook(found: BudgetForecast, budget: BudgetStatus | None) -> Outlook:
    forecast = found.outlook
    if isinstance(forecast, NotYet):
        so_far = forecast.days_with_spend or "none"
        headline = f"No forecast yet. A forecast needs {NEEDED} days with spend; {so_far} so far."
        return Outlook(False, headline, "", "", _running(found.running))
    end = text.long_day(periods.last_day(found.month))
    return Outlook(
        possible=True,
        headline=f"Forecast {text.money(forecast.month_end)} by {end}",
        range=f"between {text.money(forecast.low)} and {text.money(forecast.high)}",
        passing=_passing(forecast, budget) if budget else "",
        running=_running(found.running),
    )


def _passing(forecast: Forecast, budget: BudgetStatus) -> str:
    day = forecast.limit_passed_on
    if day:
        if budget.state == "red":
            return f"The limit was reached on {text.long_day(day)}."
        return f"At this pace spend passes the limit on {text.long_day(day)}."
    if forecast.high >= budget.limit_nanos:
        return "At this pace spend stays within the limit, but the range extends beyond it."
    return "At this pace spend stays within the limit."


def _running(running: RunningJobs) -> str:
    if not running.jobs:
        return ""
    running_jobs = f"{text.plural(running.jobs, 'job')} {'is' if running.jobs == 1 else 'are'} running"
    if running.exposure is None:
        return f"{running_jobs}; the usual cost of such jobs is not known yet."
    return f"{running_jobs}; at the usual cost of such jobs, that adds about {text.money(running.exposure)}."


@dataclass(frozen=True)
class Marks:
    """Positions on the bar, in percent of its width."""

    spent: str
    warning: str
    limit: str
    """"" if the bar ends at the limit."""
    low: str = ""
    range: str = ""
    """The width from low to high."""
    month_end: str = ""
    """"" without a forecast."""
    beyond: bool = False
    """The forecast is beyond the right end of the bar."""


def marks(budget: BudgetStatus, found: BudgetForecast | None) -> Marks:
    """The bar ends at the limit or at the end of the forecast's range, but at most at twice the limit."""
    limit = budget.limit_nanos
    forecast = found.outlook if found else None
    high = forecast.high if isinstance(forecast, Forecast) else limit
    top = min(max(limit, high), 2 * limit)

    def at(nanos: int) -> float:
        return min(max(nanos, 0) * 100 / top, 100.0)

    without_forecast = Marks(
        spent=_percent(at(budget.spent_nanos)),
        warning=_percent(at(limit) * YELLOW_PERCENT / 100),
        limit=_percent(at(limit)) if top > limit else "",
    )
    if not isinstance(forecast, Forecast):
        return without_forecast
    return replace(
        without_forecast,
        low=_percent(at(forecast.low)),
        range=_percent(at(forecast.high) - at(forecast.low)),
        month_end=_percent(at(forecast.month_end)),
        beyond=forecast.month_end > top,
    )


def _percent(value: float) -> str:
    return f"{value:.5g}"
