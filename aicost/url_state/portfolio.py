"""The portfolio's state in its URL: the sort order and the filter by budget state."""

from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse

from aicost.queries import Portfolio
from aicost.url_state.dashboard import one_of
from aicost.url_state.sorting import ORDERS, STATES, sort_and_filter

DEFAULT_SORT = "-spend"
_SORTS = {f"{minus}{name}": f"{minus}{name}" for name in ORDERS for minus in ("", "-")}
_STATES = {name: name for name in STATES}


@dataclass(frozen=True)
class PortfolioState:
    sort: str = DEFAULT_SORT
    """A key of `ORDERS`, with a leading minus for descending order."""
    state: str = "all"

    @classmethod
    def read(cls, params: QueryDict) -> Self:
        """Raises `ValidationError` naming the invalid URL parameter."""
        return cls(
            sort=one_of("sort", params.get("sort", DEFAULT_SORT), _SORTS),
            state=one_of("state", params.get("state", "all"), _STATES),
        )

    @property
    def order(self) -> str:
        return self.sort.removeprefix("-")

    @property
    def descending(self) -> bool:
        return self.sort.startswith("-")

    def of(self, found: Portfolio) -> Portfolio:
        """The products to show, filtered and sorted."""
        return sort_and_filter(found, self.order, descending=self.descending, state=self.state)

    def sorted_by(self, order: str) -> "PortfolioState":
        """The state after a click on a column: names ascending, numbers descending, or else reversed."""
        first = order if order == "name" else f"-{order}"
        second = f"-{order}" if order == "name" else order
        return replace(self, sort=second if self.sort == first else first)

    def only(self, state: str) -> "PortfolioState":
        return replace(self, state=state)

    @property
    def page_url(self) -> str:
        return reverse("portfolio") + self.query

    @property
    def fragment_url(self) -> str:
        return reverse("portfolio-products") + self.query

    def export_url(self, form: str) -> str:
        """`form` is `csv` or `json`."""
        return reverse("export-portfolio", args=[form]) + self.query

    @property
    def query(self) -> str:
        """Leaves out defaults, so that each state has a single URL."""
        params = {}
        if self.sort != DEFAULT_SORT:
            params["sort"] = self.sort
        if self.state != "all":
            params["state"] = self.state
        return f"?{urlencode(params)}" if params else ""
