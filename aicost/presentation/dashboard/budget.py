"""The budget bar, and the page with the history of the limit and the policy."""

from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from aicost import queries
from aicost.formatting import html, text
from aicost.presentation.dashboard import reservations
from aicost.presentation.dashboard.forecast import Marks, marks, outlook
from billing import periods
from billing.budgets.limits import BudgetStatus
from billing.models import BudgetChange
from products.models import Project


@dataclass(frozen=True)
class BudgetBar:
    state: str
    icon: str
    title: str
    advice: str
    spent: str
    limit: str
    percent: str
    remaining: str
    width: str
    """Percent of the limit that is spent, at most 100."""
    marks: Marks


ICONS = {"green": "circle-check", "yellow": "triangle-alert", "red": "octagon-alert"}


def bar(
    budget: BudgetStatus | None,
    month: date,
    *,
    past: bool = False,
    forecast: queries.BudgetForecast | None = None,
) -> BudgetBar | None:
    """None if there is no limit."""
    if budget is None:
        return None
    return BudgetBar(
        state=budget.state,
        icon=ICONS[budget.state],
        title=title(budget, past=past, passes=forecast is not None and forecast.passes_limit),
        advice=_advice(budget, month, past),
        spent=text.money(budget.spent_nanos),
        limit=text.money(budget.limit_nanos),
        percent=text.cut_percent(budget.cut_percent),
        remaining=_remaining(budget),
        width=f"{min(max(budget.percent, 0.0), 100.0):.9g}",
        marks=marks(budget, forecast),
    )


def title(budget: BudgetStatus, *, past: bool = False, passes: bool = False) -> str:
    """`passes`: the forecast for the month passes the limit."""
    if budget.state == "yellow":
        return "Over 80\u00a0%"
    if budget.state == "red":
        return "Limit reached"
    if past:
        return "Stayed within the limit"
    return "Within the limit so far" if passes else "On track"


def _remaining(budget: BudgetStatus) -> str:
    left = budget.limit_nanos - budget.spent_nanos
    if left > 0:
        return f"{text.money(left)} left"
    return f"{text.money(-left)} over" if left else "nothing left"


def _advice(budget: BudgetStatus, month: date, past: bool) -> str:
    if past:
        return f"This limit was in force at the end of {text.month(month)}."
    next_month = text.short_day(periods.shift(month, 1))
    if budget.state == "green":
        return f"The next budget month begins on {next_month}."
    if budget.state == "yellow":
        return f"Review high-cost agents and top pipelines: the budget has to last until {next_month}."
    return (
        "Pause or slow down the costliest agents, look for outlier runs under Top Pipelines, "
        f"or raise the limit. The next budget month begins on {next_month}."
    )


@dataclass(frozen=True)
class LimitChange:
    when: str
    who: str
    old: str
    new: str
    note: str
    subject: str
    """What changed: "Policy", or "" for the limit."""


def page(project: Project, found: queries.BudgetPage) -> dict[str, Any]:
    """This month's budget with what is reserved, and the changes of the limit and the policy."""
    summary, forecast = found.summary, found.forecast
    zone = periods.zone(project.time_zone)
    return {
        "month_name": text.month(summary.month),
        "budget": bar(summary.budget, summary.month, forecast=forecast),
        "outlook": outlook(forecast, summary.budget),
        "spent": text.money(summary.cost),
        "reserved": reservations.reserved(project, found.reserved),
        "history": [_change(change, zone) for change in found.history],
    }


def typed_limit(nanos: int | None) -> str:
    """A limit as a person would type it; "" for none."""
    return "" if nanos is None else text.exact_dollars(nanos)


def confirmation(change: BudgetChange | None) -> str:
    """The message after a change of the limit. `change` is None if nothing changed."""
    if change is None:
        return "Nothing changed: this is already the limit."
    if change.new_limit_nanos is None:
        return "The limit has been cleared."
    return f"The limit is now {text.money(change.new_limit_nanos)} a month."


def _change(change: BudgetChange, zone: ZoneInfo) -> LimitChange:
    limits = _limit(change.old_limit_nanos), _limit(change.new_limit_nanos)
    old, new = reservations.policy_change(change) if change.policy else limits
    return LimitChange(
        when=html.moment(change.changed_at, zone),
        who=change.changed_by.get_username() if change.changed_by else "the system",
        old=old,
        new=new,
        note=change.note,
        subject="Policy" if change.policy else "",
    )


def _limit(nanos: int | None) -> str:
    return "no limit" if nanos is None else text.money(nanos)
