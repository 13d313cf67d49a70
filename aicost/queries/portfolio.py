"""Several products side by side, each in its own present month."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from aicost.queries.months import this_month
from aicost.queries.series import Spend, trends
from billing import budgets, money, periods
from billing.budgets import BudgetStatus
from products.models import Project


@dataclass(frozen=True)
class ProjectSpend:
    """A product in the portfolio, in its own present month."""

    project: Project
    cost: int
    tokens: int
    jobs: int
    budget: BudgetStatus | None
    trend: list[Spend]


@dataclass(frozen=True)
class Portfolio:
    projects: list[ProjectSpend]
    """By cost, highest first, then name."""

    @property
    def cost(self) -> int:
        return sum(project.cost for project in self.projects)

    @property
    def tokens(self) -> int:
        return sum(project.tokens for project in self.projects)

    @property
    def jobs(self) -> int:
        return sum(project.jobs for project in self.projects)

    def share(self, project: ProjectSpend) -> float:
        return money.percent(project.cost, self.cost)


def portfolio(projects: Iterable[Project]) -> Portfolio:
    """Spend of several products; near a month's end their zones may stand in different months."""
    projects = list(projects)
    by_month: defaultdict[date, list[Project]] = defaultdict(list)
    for project in projects:
        by_month[this_month(project)].append(project)
    limits = budgets.limits_now(projects)
    found = []
    for month, group in by_month.items():
        months = periods.months_ending(month, periods.TREND_MONTHS)
        by_project = trends([project.pk for project in group], months)
        for project in group:
            trend = by_project[project.pk]
            now = trend[-1]
            budget = budgets.status(limits.get(project.pk), now.cost)
            found.append(ProjectSpend(project, now.cost, now.tokens, now.jobs, budget, trend))
    found.sort(key=lambda row: (-row.cost, row.project.name, row.project.pk))
    return Portfolio(found)
