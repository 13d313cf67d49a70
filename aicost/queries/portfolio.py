"""Several products side by side, and one product's credits and limits over time."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from aicost.queries.months import this_month, today
from aicost.queries.series import Spend, trends
from billing import budgets, money, periods
from billing.budgets import BudgetStatus
from billing.models import BudgetChange, DailySpend, MonthlyCredits, MonthlySpend
from products.models import Project

BUDGET_CHANGES = 100


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


@dataclass(frozen=True)
class CreditsIn:
    month: date
    purchased: int
    granted: int


@dataclass(frozen=True)
class Revenue:
    """Credits coming in, what is left of them, and how long that lasts."""

    months: list[CreditsIn]
    """Newest first; only months in which something came in."""
    balance: int
    spent_in_30_days: int
    """Spend of the last 30 full days."""

    @property
    def days_left(self) -> float | None:
        """At the rate of the last 30 full days; None where nothing was spent in them."""
        if self.spent_in_30_days <= 0:
            return None
        return max(self.balance * 30 / self.spent_in_30_days, 0.0)


def revenue(project: Project) -> Revenue:
    months = [
        CreditsIn(*row)
        for row in MonthlyCredits.objects.filter(project=project)
        .order_by("-month")
        .values_list("month", "purchased_nanos", "granted_nanos")
    ]
    spent = MonthlySpend.objects.filter(project=project).values_list("cost_nanos", flat=True)
    yesterday = today(project) - timedelta(days=1)
    days = DailySpend.objects.filter(project=project, day__range=(yesterday - timedelta(days=29), yesterday))
    return Revenue(
        months=months,
        # Summed here and not in SQL, whose whole numbers end at 64 bits.
        balance=sum(row.purchased + row.granted for row in months) - sum(spent),
        spent_in_30_days=sum(days.values_list("cost_nanos", flat=True)),
    )


def budget_history(project: Project) -> list[BudgetChange]:
    """The newest changes of a project's limit, newest first."""
    return list(BudgetChange.objects.filter(project=project).select_related("changed_by")[:BUDGET_CHANGES])
