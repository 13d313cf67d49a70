"""What the portfolio shows, as its address says it: the order, and the budget states that are let through."""

from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse

from aicost.queries import Portfolio
from aicost.url_state.dashboard import one_of
from aicost.url_state.sorting import ORDERS, STATES, sort_and_filter

USUAL = "-spend"
_SORTS = {f"{minus}{name}": f"{minus}{name}" for name in ORDERS for minus in ("", "-")}
_STATES = {name: name for name in STATES}


@dataclass(frozen=True)
class PortfolioState:
    sort: str = USUAL
    """A name of `ORDERS`, with a minus in front where the highest comes first."""
    state: str = "all"

    @classmethod
    def read(cls, params: QueryDict) -> Self:
        """Raises `ValidationError` naming what is wrong in the address."""
        return cls(
            sort=one_of("sort", params.get("sort", USUAL), _SORTS),
            state=one_of("state", params.get("state", "all"), _STATES),
        )

    @property
    def order(self) -> str:
        return self.sort.removeprefix("-")

    @property
    def descending(self) -> bool:
        return self.sort.startswith("-")

    def of(self, found: Portfolio) -> Portfolio:
        """The products that are shown, in their order."""
        return sort_and_filter(found, self.order, descending=self.descending, state=self.state)

    def sorted_by(self, order: str) -> "PortfolioState":
        """One click on a column away: names from A, figures from the highest; once more, the other way."""
        usual = order if order == "name" else f"-{order}"
        other = f"-{order}" if order == "name" else order
        return replace(self, sort=other if self.sort == usual else usual)

    def only(self, state: str) -> "PortfolioState":
        return replace(self, state=state)

    @property
    def page_url(self) -> str:
        return reverse("portfolio") + self.query

    @property
    def fragment_url(self) -> str:
        return reverse("portfolio-products") + self.query

    def export_url(self, form: str) -> str:
        """Of `csv` or `json`."""
        return reverse("export-portfolio", args=[form]) + self.query

    @property
    def query(self) -> str:
        """Defaults are left out, so that each state has one address."""
        params = {}
        if self.sort != USUAL:
            params["sort"] = self.sort
        if self.state != "all":
            params["state"] = self.state
        return f"?{urlencode(params)}" if params else ""
