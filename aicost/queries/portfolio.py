"""Several products side by side, each in its own present month."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from aicost import cache
from aicost.queries.forecast import days_looked_back_on, outlook
from aicost.queries.series import Spend, trends
from billing import money, periods
from billing.budgets import limits as budget_limits
from billing.budgets.forecast import Forecast, NotYet
from billing.budgets.limits import BudgetStatus
from billing.clock import this_month
from products.models import Membership, Project


@dataclass(frozen=True)
class ProjectSpend:
    """A product in the portfolio, in its own present month."""

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
        """Its limit is not reached yet, and will be."""
        ahead = self.forecast
        return not self.reached and ahead is not None and ahead.limit_passed_on is not None


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
        """Of the products for which there is one."""
        return [project.forecast for project in self.projects if project.forecast]

    @property
    def month_end(self) -> int | None:
        """The sum of the forecasts; None where there is none at all."""
        found = self.forecasts
        return sum(ahead.month_end for ahead in found) if found else None

    def share(self, project: ProjectSpend) -> float:
        return money.percent(project.cost, self.cost)


class _Figures(NamedTuple):
    """Of a product, until it changes or its day ends."""

    limit: int | None
    trend: list[Spend]
    costs: dict[date, int]
    """By day: what its forecast looks at."""


def portfolio(projects: Iterable[Project]) -> Portfolio:
    """Spend of several products, by cost, highest first, then name.

    Near a month's end their zones may stand in different months. Three queries, however many products
    have changed since they were asked for last; none where none has.
    """
    projects = list(projects)
    figures = cache.get_or_make_many("portfolio", "day", projects, _figures)
    found = [_project_spend(project, figures[project.pk]) for project in projects]
    found.sort(key=lambda row: (-row.cost, row.project.name, row.project.pk))
    return Portfolio(found)


def _project_spend(project: Project, figures: _Figures) -> ProjectSpend:
    limit, trend, costs = figures
    now = trend[-1]
    budget = budget_limits.status(limit, now.cost)
    ahead = outlook(project, costs, limit)
    return ProjectSpend(project, now.cost, now.tokens, now.jobs, budget, trend, ahead)


def _figures(projects: list[Project]) -> dict[int, _Figures]:
    limits = budget_limits.limits_now(projects)
    trend = _trends(projects)
    costs = days_looked_back_on(projects)
    return {
        project.pk: _Figures(limits.get(project.pk), trend[project.pk], costs.get(project.pk, {}))
        for project in projects
    }


def _trends(projects: list[Project]) -> dict[int, list[Spend]]:
    """Six months of each project, ending with its own present one, in one query."""
    present = {project.pk: this_month(project) for project in projects}
    # No two zones are more than 26 hours apart: the present months are one, or one and the one before.
    found = trends(present, periods.months_ending(max(present.values()), periods.TREND_MONTHS + 1))
    return {
        pk: [spend for spend in found[pk] if spend.start <= month][-periods.TREND_MONTHS :]
        for pk, month in present.items()
    }


def visible_projects(user: Any) -> list[Project]:
    """The products in the person's portfolio, with their owners."""
    return list(Project.objects.visible_to(user).unarchived().select_related("owner"))


def example_project(user: Any) -> Project | None:
    """A product for examples: if possible one that the person may change, so that every example works."""
    visible = Project.objects.visible_to(user).unarchived()
    managed = Membership.objects.filter(user=user, role=Membership.Role.MANAGER).values("project")
    return visible.filter(owner=user).first() or visible.filter(pk__in=managed).first() or visible.first()
