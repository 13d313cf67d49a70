"""Filter and sort the products of a portfolio. Makes no queries."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from aicost.queries.portfolio import Portfolio, ProjectSpend

Value = Any
"""What rows are sorted by. None if a product has no such figure."""


def _budget_used(row: ProjectSpend) -> Fraction | None:
    """An exact fraction, because percentages that look equal once rounded may still differ."""
    return Fraction(row.budget.spent_nanos, row.budget.limit_nanos) if row.budget else None


def _forecast(row: ProjectSpend) -> int | None:
    return row.forecast.month_end if row.forecast else None


def _forecast_of_limit(row: ProjectSpend) -> Fraction | None:
    if row.forecast is None or row.budget is None:
        return None
    return Fraction(row.forecast.month_end, row.budget.limit_nanos)


ORDERS: dict[str, Callable[[ProjectSpend], Value]] = {
    "name": lambda row: row.project.name,
    "spend": lambda row: row.cost,
    "share": lambda row: row.cost,  # all are parts of the same total
    "budget": _budget_used,
    "forecast": _forecast,
    "forecast-budget": _forecast_of_limit,
    "tokens": lambda row: row.tokens,
    "jobs": lambda row: row.jobs,
}

STATES: dict[str, Callable[[ProjectSpend], bool]] = {
    "all": lambda row: True,
    "green": lambda row: _state(row) == "green",
    "yellow": lambda row: _state(row) == "yellow",
    "red": lambda row: row.reached,
    "passing": lambda row: row.will_pass,
    "none": lambda row: row.budget is None,
}
"""`passing` products are green or yellow now but forecast to pass their limit."""


def _state(row: ProjectSpend) -> str | None:
    return row.budget.state if row.budget else None


def sort_and_filter(found: Portfolio, order: str, *, descending: bool, state: str) -> Portfolio:
    """Ties are sorted by name, then id. Products without the figure come last in either direction."""
    rows = [row for row in found.projects if STATES[state](row)]
    rows.sort(key=lambda row: (row.project.name, row.project.pk))
    value = ORDERS[order]
    known = [row for row in rows if value(row) is not None]
    known.sort(key=value, reverse=descending)  # stable in reverse, too
    return Portfolio([*known, *(row for row in rows if value(row) is None)])


def count_by_state(found: Portfolio) -> dict[str, int]:
    """The number of products in each state."""
    return {name: sum(map(chosen, found.projects)) for name, chosen in STATES.items()}
