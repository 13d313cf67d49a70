"""The portfolio as rows for machines: the products that the page shows, in its order, totals last."""

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
    return Table("portfolio", COLUMNS, [_row(found, one) for one in found.projects], _total(found))


def _row(found: Portfolio, one: ProjectSpend) -> tuple[Cell, ...]:
    return (
        *(str(one.project.pk), one.project.name),
        *(dollars(one.cost), found.share(one), one.tokens, one.jobs),
        *_budget(one.budget),
        *_forecast(one.forecast),
    )


def _budget(budget: BudgetStatus | None) -> tuple[Cell, ...]:
    return (dollars(budget.limit_nanos), budget.percent, budget.state) if budget else (None, None, None)


def _forecast(ahead: Forecast | None) -> tuple[Cell, ...]:
    if ahead is None:
        return (None, None, None, None)
    passed = ahead.limit_passed_on.isoformat() if ahead.limit_passed_on else None
    return (dollars(ahead.month_end), dollars(ahead.low), dollars(ahead.high), passed)


def _total(found: Portfolio) -> tuple[Cell, ...]:
    """Of the forecasts there are. The ends of their ranges don't add up to a range."""
    month_end = None if found.month_end is None else dollars(found.month_end)
    share = money.percent(found.cost, found.cost)
    return (
        *("total", None, dollars(found.cost), share, found.tokens, found.jobs),
        *(None, None, None),
        *(month_end, None, None, None),
    )
