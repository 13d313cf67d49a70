"""Which products of a portfolio are shown, and in what order. Pure: asks the database nothing."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from aicost.queries.portfolio import Portfolio, ProjectSpend

Value = Any
"""What rows are ordered by; None where a product has no such figure."""


def _budget_used(row: ProjectSpend) -> Fraction | None:
    """Exact: percentages that differ beyond what is shown are no tie."""
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
    "share": lambda row: row.cost,  # each the same part of one total
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
"""`passing` are those whose limit is not reached yet but will be: green or yellow ones."""


def _state(row: ProjectSpend) -> str | None:
    return row.budget.state if row.budget else None


def sort_and_filter(found: Portfolio, order: str, *, descending: bool, state: str) -> Portfolio:
    """Ties by name, then id; products without the figure come last, whatever the direction."""
    rows = [row for row in found.projects if STATES[state](row)]
    rows.sort(key=lambda row: (row.project.name, row.project.pk))
    value = ORDERS[order]
    known = [row for row in rows if value(row) is not None]
    known.sort(key=value, reverse=descending)  # stable, in reverse, too
    return Portfolio([*known, *(row for row in rows if value(row) is None)])


def count_by_state(found: Portfolio) -> dict[str, int]:
    """How many products each state has."""
    return {name: sum(map(chosen, found.projects)) for name, chosen in STATES.items()}
