"""The whole dashboard: a month with its chart and open tab."""

from dataclasses import dataclass
from typing import Any

from aicost.formatting import text
from aicost.presentation.dashboard import (
    budget,
    changes,
    daily,
    forecast,
    kpis,
    lookalikes,
    reservations,
    tabs,
    unpriced,
    waste,
)
from aicost.queries import Dashboard, MonthPage
from aicost.url_state.dashboard import DashboardState, Link, link
from billing import periods


@dataclass(frozen=True)
class Month:
    name: str
    previous: Link | None
    next: Link | None
    present: Link | None
    """The way back from a past month."""
    kpis: list[kpis.Kpi]
    budget: budget.BudgetBar | None
    outlook: forecast.Outlook | None
    """Only for the present month, if the product has had usage or has a limit."""
    reserved: str
    """Only for the present month: in a past month nothing is reserved."""
    unpriced: unpriced.Notice | None
    lookalikes: lookalikes.Notice | None
    waste_csv: str
    waste_json: str
    changes_csv: str
    changes_json: str


def month(state: DashboardState, found: Dashboard) -> dict[str, Any]:
    """The context of `_month.html`."""
    page, summary = found.page, found.page.summary
    return {
        "month": Month(
            name=text.month(state.month),
            previous=_neighbour(state, -1, "month-previous"),
            next=_neighbour(state, +1, "month-next"),
            present=_present(state),
            kpis=kpis.cards(summary, page.baseline),
            budget=budget.bar(
                summary.budget, state.month, past=state.past_month is not None, forecast=page.forecast
            ),
            outlook=_outlook(state, page),
            reserved=reservations.reserved(state.project, found.reserved),
            unpriced=unpriced.notice(summary, found.unpriced, found.priced_without),
            lookalikes=lookalikes.notice(summary, found.lookalikes, past=state.past_month is not None),
            waste_csv=state.export_url("waste", "csv"),
            waste_json=state.export_url("waste", "json"),
            changes_csv=state.export_url("changes", "csv"),
            changes_json=state.export_url("changes", "json"),
        ),
        "chart": daily.chart(state, page.daily),
        "tabs": tabs.tabs(state, found.panel),
        "changes": changes.what_changed(found.changes),
        "waste": waste.waste(summary),
    }


def _outlook(state: DashboardState, page: MonthPage) -> forecast.Outlook | None:
    budgeted = page.summary.budget is not None
    if page.forecast is None or not (state.project.first_usage_at or budgeted):
        return None
    return forecast.outlook(page.forecast, page.summary.budget)


def _neighbour(state: DashboardState, months: int, id: str) -> Link | None:
    """A link to a month before or after; None before the first month and after the present one."""
    target = periods.shift(state.month, months)
    if not periods.EARLIEST_MONTH <= target <= state.present_month:
        return None
    return link(state.to(past_month=target), "month", id, text.month(target))


def _present(state: DashboardState) -> Link | None:
    if state.past_month is None:
        return None
    return link(state.to(past_month=None), "month", "month-present", "This month")
