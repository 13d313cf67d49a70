"""Export of the portfolio: the products on the page, in the same order, totals last."""

from aicost.exports.tabular import Cell, Table
from aicost.queries import Portfolio, ProjectSpend
from billing import money
from billing.budgets.forecast import Forecast
from billing.budgets.limits import BudgetStatus
from billing.money import dollars

COLUMNS = (
    *("projectId", "name", "cost", "pctOfTotal", "tokens", "jobs"),
    *("budgetLimit", "budgetPct", "budgetState"),
    *("forecast", "forecastLow", "forecastHigh", "limitPassedOn"),
)


def portfolio(found: Portfolio) -> Table:
    return Table("portfolio", COLUMNS, [_row(found, project) for project in found.projects], _total(found))


def _row(found: Portfolio, spend: ProjectSpend) -> tuple[Cell, ...]:
    return (
        *(str(spend.project.pk), spend.project.name),
        *(dollars(spend.cost), found.share(spend), spend.tokens, spend.jobs),
        *_budget(spend.budget),
        *_forecast(spend.forecast),
    )


def _budget(budget: BudgetStatus | None) -> tuple[Cell, ...]:
    return (dollars(budget.limit_nanos), budget.percent, budget.state) if budget else (None, None, None)


def _forecast(forecast: Forecast | None) -> tuple[Cell, ...]:
    if forecast is None:
        return (None, None, None, None)
    passed = forecast.limit_passed_on.isoformat() if forecast.limit_passed_on else None
    return (dollars(forecast.month_end), dollars(forecast.low), dollars(forecast.high), passed)


def _total(found: Portfolio) -> tuple[Cell, ...]:
    """Totals; the forecast is the sum of those that exist. The ends of their ranges don't add up."""
    month_end = None if found.month_end is None else dollars(found.month_end)
    share = money.percent(found.cost, found.cost)
    return (
        *("total", None, dollars(found.cost), share, found.tokens, found.jobs),
        *(None, None, None),
        *(month_end, None, None, None),
    )
