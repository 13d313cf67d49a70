"""The dashboard's state in its URL: the open tab, the number of days in the chart, and the month."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Self
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.urls import reverse

from billing import clock, periods
from products.models import Project

TABS = {
    "agents": "By Agent Type",
    "trend": "Monthly Trend",
    "runs": "Top Pipelines",
    "recent": "Recent Runs",
}
RANGES = {str(days): days for days in periods.DAY_RANGES}


@dataclass(frozen=True)
class DashboardState:
    project: Project
    tab: str = "agents"
    days: int = 30
    past_month: date | None = None
    """None for the current month, so that its URL still works next month."""

    @classmethod
    def read(cls, project: Project, params: QueryDict) -> Self:
        """Raises `ValidationError` naming the invalid URL parameter."""
        month = clock.month_from(project, params.get("month"))
        return cls(
            project,
            tab=one_of("tab", params.get("tab", "agents"), {name: name for name in TABS}),
            days=one_of("range", params.get("range", "30"), RANGES),
            past_month=None if month == clock.this_month(project) else month,
        )

    @property
    def month(self) -> date:
        return self.past_month or self.present_month

    @property
    def present_month(self) -> date:
        return clock.this_month(self.project)

    def to(self, **changes: Any) -> "DashboardState":
        """The state with these fields changed, as a link needs it."""
        if changes.get("past_month") == self.present_month:
            changes["past_month"] = None
        return replace(self, **changes)

    @property
    def page_url(self) -> str:
        return reverse("ai-cost", args=[self.project.pk]) + self.query

    def fragment_url(self, name: str) -> str:
        """`name` is `month`, `daily` or `tabs`."""
        return reverse(f"ai-cost-{name}", args=[self.project.pk]) + self.query

    def export_url(self, table: str, form: str) -> str:
        """`form` is `csv` or `json`."""
        return reverse("export", args=[self.project.pk, table, form]) + self.query

    @property
    def ledger_url(self) -> str:
        """The month's ledger as CSV."""
        return reverse("export-ledger", args=[self.project.pk]) + self.query

    @property
    def query(self) -> str:
        """Leaves out defaults, so that each state has a single URL."""
        params = {}
        if self.tab != "agents":
            params["tab"] = self.tab
        if self.days != 30:
            params["range"] = str(self.days)
        if self.past_month:
            params["month"] = periods.month_text(self.past_month)
        return f"?{urlencode(params)}" if params else ""


def one_of(name: str, text: str, known: Mapping[str, Any]) -> Any:
    """The value of `text` in `known`. Raises `ValidationError` naming the parameter if it is not in there."""
    if text not in known:
        raise ValidationError({name: f"must be one of {', '.join(known)}"})
    return known[text]


@dataclass(frozen=True)
class Link:
    """A link on the dashboard: the page it opens, and the fragment that htmx loads instead."""

    id: str
    text: str
    href: str
    fragment: str
    current: bool = False


def link(state: DashboardState, fragment: str, id: str, text: str, current: bool = False) -> Link:
    return Link(id, text, state.page_url, state.fragment_url(fragment), current)
