"""The daily spend chart: a column with a tooltip for each day, and the same figures as a table."""

from dataclasses import dataclass

from aicost.formatting import text
from aicost.presentation import axis
from aicost.presentation.axis import Tick
from aicost.queries import Spend
from aicost.url_state.dashboard import RANGES, DashboardState, Link, link

# Days between two labels in a wide and in a narrow chart, counted back from the last day.
_LABEL_EVERY = {7: (1, 2), 14: (2, 4), 30: (5, 10), 90: (10, 30)}


@dataclass(frozen=True)
class Day:
    date: str
    cost: str
    tokens: str
    jobs: str
    top: str
    """The top of the bar, in percent from the top of the chart."""
    label: str
    wide_only: bool
    partial: bool


@dataclass(frozen=True)
class DailyChart:
    state: str
    """`never` if there was never any usage, `empty` if there was none in these days, otherwise `chart`."""
    days: int
    heading: str
    ranges: list[Link]
    columns: list[Day]
    ticks: list[Tick]
    summary: str
    csv: str
    json: str


def chart(state: DashboardState, series: list[Spend]) -> DailyChart:
    """`series` has an entry for each day, oldest first."""
    ticks = axis.ticks(max(day.cost for day in series))
    ends_today = state.past_month is None
    return DailyChart(
        state=_chart_state(state, series),
        days=state.days,
        heading=_heading(series, ends_today),
        ranges=ranges(state),
        columns=_columns(series, ticks[-1].nanos, ends_today),
        ticks=ticks,
        summary=_summary(series),
        csv=state.export_url("daily", "csv"),
        json=state.export_url("daily", "json"),
    )


def ranges(state: DashboardState) -> list[Link]:
    return [
        link(state.to(days=days), "daily", f"range-{days}", f"{days}d", days == state.days)
        for days in RANGES.values()
    ]


def _chart_state(state: DashboardState, series: list[Spend]) -> str:
    if any(day.cost or day.tokens or day.jobs for day in series):
        return "chart"
    return "empty" if state.project.first_usage_at else "never"


def _heading(series: list[Spend], ends_today: bool) -> str:
    span = f"{text.short_day(series[0].start)} – {text.day(series[-1].start)}"
    return f"Last {len(series)} days, {span}" if ends_today else f"{len(series)} days, {span}"


def _columns(series: list[Spend], top: int, ends_today: bool) -> list[Day]:
    wide, narrow = _LABEL_EVERY[len(series)]
    columns = []
    for index, day in enumerate(series):
        days_back = len(series) - 1 - index
        today = ends_today and days_back == 0
        columns.append(
            Day(
                date=text.weekday(day.start) + (", so far" if today else ""),
                cost=text.money(day.cost),
                tokens=text.count(day.tokens),
                jobs=text.count(day.jobs),
                top=axis.from_top(day.cost, top),
                label=_label(day, today) if days_back % wide == 0 else "",
                wide_only=days_back % narrow != 0,
                partial=today,
            )
        )
    return columns


def _label(day: Spend, today: bool) -> str:
    return "Today" if today else text.short_day(day.start)


def _summary(series: list[Spend]) -> str:
    total = sum(day.cost for day in series)
    highest = max(series, key=lambda day: day.cost)
    average = text.money(round(total / len(series)))
    peak = f"; most on {text.short_day(highest.start)} ({text.money(highest.cost)})"
    return (
        f"{text.money(total)} in {len(series)} days, {average} a day on average"
        f"{peak if highest.cost > 0 else ''}."
    )
