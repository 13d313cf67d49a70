"""Several products side by side, each in its own current month."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from aicost import cache
from aicost.queries.forecast import costs_for_forecasts, outlook
from aicost.queries.series import Spend, trends
from billing import money, periods
from billing.budgets import limits as budget_limits
from billing.budgets.forecast import Forecast, NotYet
from billing.budgets.limits import BudgetStatus
from billing.clock import this_month
from products.models import Membership, Project


@dataclass(frozen=True)
class ProjectSpend:
    """A product in the portfolio, in its own current month."""

    project: Project
    cost: int
    tokens: int
    jobs: int
    budget: BudgetStatus | None
    trend: list[Spend]
    outlook: Forecast | NotYet

    @property
    def forecast(self) -> Forecast | None:
        return self.outlook if isinstance(self.outlook, Forecast) else None

    @property
    def reached(self) -> bool:
        return self.budget is not None and self.budget.state == "red"

    @property
    def will_pass(self) -> bool:
        """Whether the forecast passes a limit that is not reached yet."""
        forecast = self.forecast
        return not self.reached and forecast is not None and forecast.limit_passed_on is not None


@dataclass(frozen=True)
class Portfolio:
    projects: list[ProjectSpend]

    @property
    def cost(self) -> int:
        return sum(project.cost for project in self.projects)

    @property
    def tokens(self) -> int:
        return sum(project.tokens for project in self.projects)

    @property
    def jobs(self) -> int:
        return sum(project.jobs for project in self.projects)

    @property
    def forecasts(self) -> list[Forecast]:
        """The forecasts of the products that have one."""
        return [project.forecast for project in self.projects if project.forecast]

    @property
    def month_end(self) -> int | None:
        """The sum of the forecasts. None if no product has one."""
        forecasts = self.forecasts
        return sum(forecast.month_end for forecast in forecasts) if forecasts else None

    def share(self, project: ProjectSpend) -> float:
        return money.percent(project.cost, self.cost)


class _Figures(NamedTuple):
    """What is cached of a product until it changes or its day ends."""

    limit: int | None
    trend: list[Spend]
    costs: dict[date, int]
    """By day, as far back as the forecast looks."""


def portfolio(projects: Iterable[Project]) -> Portfolio:
    """Spend of several products, by cost, highest first, then name.

    Near a month's end, products in different time zones may be in different months. Takes three queries if
    any products have changed since the last call, however many, and none otherwise.
    """
    projects = list(projects)
    figures = cache.get_or_make_many("portfolio", "day", projects, _figures)
    found = [_project_spend(project, figures[project.pk]) for project in projects]
    found.sort(key=lambda row: (-row.cost, row.project.name, row.project.pk))
    return Portfolio(found)


def _project_spend(project: Project, figures: _Figures) -> ProjectSpend:
    limit, trend, costs = figures
    current = trend[-1]
    budget = budget_limits.status(limit, current.cost)
    return ProjectSpend(
        project=project,
        cost=current.cost,
        tokens=current.tokens,
        jobs=current.jobs,
        budget=budget,
        trend=trend,
        outlook=outlook(project, costs, limit),
    )


def _figures(projects: list[Project]) -> dict[int, _Figures]:
    limits = budget_limits.limits_now(projects)
    trend = _trends(projects)
    costs = costs_for_forecasts(projects)
    return {
        project.pk: _Figures(limits.get(project.pk), trend[project.pk], costs.get(project.pk, {}))
        for project in projects
    }


def _trends(projects: list[Project]) -> dict[int, list[Spend]]:
    """Six months of each project, ending with its own current month, in one query."""
    current = {project.pk: this_month(project) for project in projects}
    # Time zones are at most 26 hours apart, so the projects are in the same month or in two adjacent ones.
    found = trends(current, periods.months_ending(max(current.values()), periods.TREND_MONTHS + 1))
    return {
        pk: [spend for spend in found[pk] if spend.start <= month][-periods.TREND_MONTHS :]
        for pk, month in current.items()
    }


def visible_projects(user: Any) -> list[Project]:
    """The products in the user's portfolio, with their owners."""
    return list(Project.objects.visible_to(user).unarchived().select_related("owner"))


def example_project(user: Any) -> Project | None:
    """A product to use in examples: preferably one the user may change, so that every example works."""
    visible = Project.objects.visible_to(user).unarchived()
    managed = Membership.objects.filter(user=user, role=Membership.Role.MANAGER).values("project")
    return visible.filter(owner=user).first() or visible.filter(pk__in=managed).first() or visible.first()
