"""The links that sort and filter the portfolio, and the current choice in words."""

from dataclasses import dataclass

from aicost.formatting import text
from aicost.queries import Portfolio
from aicost.url_state.dashboard import Link
from aicost.url_state.portfolio import PortfolioState
from aicost.url_state.sorting import count_by_state

COLUMNS = {
    "name": "Product",
    "spend": "Spend",
    "share": "Share",
    "budget": "Budget used",
    "forecast": "Forecast",
    "forecast-budget": "Of limit",
    "tokens": "Tokens",
    "jobs": "Jobs",
}
"""The headings of the table."""
_SORT_NAMES = {**COLUMNS, "name": "Name", "forecast-budget": "Forecast of limit"}
"""The names of the same columns outside the table."""
_FILTERS = {
    "all": ("All", ""),
    "green": ("Under 80\u00a0%", "under 80\u00a0% of their limit"),
    "yellow": ("Over 80\u00a0%", "over 80\u00a0% of their limit"),
    "red": ("Limit reached", "at their limit"),
    "passing": ("Will pass the limit", "forecast to pass their limit"),
    "none": ("No limit", "without a limit"),
}
"""The text of the link, and a description of its products."""


@dataclass(frozen=True)
class Filter:
    link: Link
    count: str


@dataclass(frozen=True)
class Column:
    link: Link
    words: str
    sorted: str
    """`ascending` or `descending` if the table is sorted by this column; otherwise ""."""


@dataclass(frozen=True)
class Filtered:
    """How many of the products are shown, and a link that shows all of them."""

    text: str
    empty: str
    count: str
    everything: Link


def filters(state: PortfolioState, found: Portfolio) -> list[Filter]:
    counts = count_by_state(found)
    return [
        Filter(_link(state.only(name), f"state-{name}", label, name == state.state), text.count(counts[name]))
        for name, (label, _) in _FILTERS.items()
    ]


def columns(state: PortfolioState) -> dict[str, Column]:
    """By name, with underscores, because templates can't use hyphens."""
    return {order.replace("-", "_"): _column(state, order) for order in COLUMNS}


def _column(state: PortfolioState, order: str) -> Column:
    current = order == state.order
    direction = "descending" if state.descending else "ascending"
    link = _link(state.sorted_by(order), f"sort-{order}", COLUMNS[order], current)
    return Column(link, _SORT_NAMES[order], direction if current else "")


def order_words(state: PortfolioState) -> str:
    """`Spend, highest first`."""
    if state.order == "name":
        return f"Name, {'Z to A' if state.descending else 'A to Z'}"
    return f"{_SORT_NAMES[state.order]}, {'highest' if state.descending else 'lowest'} first"


def filtered(state: PortfolioState, listed: Portfolio, found: Portfolio) -> Filtered | None:
    """None if every product is shown."""
    if state.state == "all":
        return None
    number, total = len(listed.projects), text.plural(len(found.projects), "product")
    _, description = _FILTERS[state.state]
    return Filtered(
        text=(
            f"Products {description}: {number} of {len(found.projects)}. Totals and shares cover only these."
        ),
        empty=f"There are no products {description}.",
        count=f"{number} of {total}",
        everything=_link(state.only("all"), "show-all", f"Show all {total}", False),
    )


def _link(state: PortfolioState, id: str, label: str, current: bool) -> Link:
    return Link(id, label, state.page_url, state.fragment_url, current)
