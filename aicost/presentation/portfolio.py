"""The portfolio: the products that a person may see, filtered and sorted, with totals."""

from dataclasses import dataclass, replace
from typing import Any

from django.urls import reverse

from aicost.formatting import html, text
from aicost.presentation import axis, sorting
from aicost.presentation.dashboard import budget
from aicost.queries import Portfolio, ProjectSpend, Spend
from aicost.url_state.portfolio import PortfolioState
from billing import money
from billing.budgets.forecast import NEEDED, Forecast, NotYet
from billing.budgets.limits import BudgetStatus


@dataclass(frozen=True)
class Bar:
    x: int
    y: str
    """The top of the bar: 0 is the top of the chart, 20 its bottom."""


@dataclass(frozen=True)
class Limit:
    state: str
    icon: str
    title: str
    percent: str
    limit: str


@dataclass(frozen=True)
class ForecastCell:
    """How the month is expected to end. Without a forecast, `missing` says why."""

    month_end: str
    range: str = ""
    of_limit: str = ""
    passing: str = ""
    passes: bool = False
    missing: str = ""


@dataclass(frozen=True)
class ProductRow:
    name: str
    url: str
    dashboard_url: str
    owner: str
    cost: str
    share: str
    width: str
    tokens: str
    jobs: str
    budget: Limit | None
    forecast: ForecastCell
    trend: list[Bar]
    trend_words: str


def portfolio(found: Portfolio, state: PortfolioState) -> dict[str, Any]:
    """The context of `_products.html`."""
    listed = state.of(found)
    highest = max((row.cost for row in listed.projects), default=0)
    return {
        "products": [_product_row(listed, row, highest) for row in listed.projects],
        "totals": _totals(listed),
        "filters": sorting.filters(state, found),
        "columns": sorting.columns(state),
        "order": sorting.order_words(state),
        "filtered": sorting.filtered(state, listed, found),
        "csv": state.export_url("csv"),
        "json": state.export_url("json"),
    }


def _product_row(found: Portfolio, row: ProjectSpend, highest: int) -> ProductRow:
    return ProductRow(
        name=row.project.name,
        url=reverse("product", args=[row.project.pk]),
        dashboard_url=reverse("ai-cost", args=[row.project.pk]),
        owner=row.project.owner.get_username(),
        cost=html.money(row.cost),
        share=text.percent(found.share(row)),
        width=axis.width(row.cost, highest),
        tokens=html.tokens(row.tokens),
        jobs=text.count(row.jobs),
        budget=_limit(row.budget, row.will_pass) if row.budget else None,
        forecast=_forecast(row),
        trend=sparkline(row.trend),
        trend_words="; ".join(f"{text.short_month(m.start)} {text.money(m.cost)}" for m in row.trend),
    )


def _limit(status: BudgetStatus, passes: bool) -> Limit:
    return Limit(
        state=status.state,
        icon=budget.ICONS[status.state],
        title=budget.title(status, passes=passes),
        percent=text.cut_percent(status.cut_percent),
        limit=text.money(status.limit_nanos),
    )


def _forecast(row: ProjectSpend) -> ForecastCell:
    forecast = row.outlook
    if isinstance(forecast, NotYet):
        so_far = forecast.days_with_spend or "none"
        return ForecastCell("", missing=f"A forecast needs {NEEDED} days with spend; {so_far} so far.")
    cell = ForecastCell(html.money(forecast.month_end), _range(forecast))
    if row.budget is None:
        return cell
    of_limit = money.cut_percent(forecast.month_end, row.budget.limit_nanos)
    return replace(
        cell,
        of_limit=text.cut_percent(of_limit),
        passing=_passing(forecast, row),
        passes=row.will_pass or row.reached,
    )


def _range(forecast: Forecast) -> str:
    """ "" if both ends read the same."""
    low, high = text.money_short(forecast.low), text.money_short(forecast.high)
    return f"{low} to {high}" if low != high else ""


def _passing(forecast: Forecast, row: ProjectSpend) -> str:
    if forecast.limit_passed_on is None:
        return "within the limit"
    day = text.short_day(forecast.limit_passed_on)
    return f"reached on {day}" if row.reached else f"passes it on {day}"


def sparkline(trend: list[Spend]) -> list[Bar]:
    """Six bars, at most 20 high and 12 apart."""
    highest = max(month.cost for month in trend)
    return [
        Bar(index * 12, f"{20 - 20 * month.cost / highest:.3g}" if month.cost > 0 else "20")
        for index, month in enumerate(trend)
    ]


def _totals(found: Portfolio) -> dict[str, Any]:
    limited = [row for row in found.projects if row.budget]
    known, month_end = len(found.forecasts), found.month_end
    complete = known == len(found.projects)
    return {
        "cost": html.money(found.cost),
        "tokens": html.tokens(found.tokens),
        "jobs": text.count(found.jobs),
        "products": text.plural(len(found.projects), "product"),
        "limited": f"{len(limited)} of {len(found.projects)}",
        "share": text.percent(100.0 if found.cost > 0 else 0.0),
        "attention": _attention(limited),
        "month_end": text.NONE if month_end is None else html.money(month_end),
        "forecast_of": "" if complete else f"for {known} of {text.plural(len(found.projects), 'product')}",
    }


def _attention(limited: list[ProjectSpend]) -> str:
    counts = {
        "at the limit": sum(row.reached for row in limited),
        "over 80\u00a0%": sum(row.budget.state == "yellow" for row in limited if row.budget),
        "will pass it": sum(row.will_pass for row in limited),
    }
    parts = [f"{number} {label}" for label, number in counts.items() if number]
    return ", ".join(parts) or ("all on track" if limited else "no limits set")
