"""A month: its sums by agent type, its budget, and the days that its KPIs are compared with."""

from dataclasses import dataclass
from datetime import date

from aicost.queries.forecast import BudgetForecast, budget_forecast, earliest_day
from aicost.queries.months import this_month, today
from aicost.queries.series import Spend, day_range, days_with_usage, filled
from billing import budgets, money, periods
from billing.budgets import BudgetStatus
from billing.models import MonthlySpend
from products.models import Project


@dataclass(frozen=True)
class AgentTypeSpend:
    """An agent type's part of a month. `jobs` are those that finished in it."""

    agent_type: str
    label: str
    color: str
    cost: int
    input_tokens: int
    output_tokens: int
    jobs: int
    succeeded_jobs: int
    unpriced: int
    failed_cost: int = 0
    """The part of the cost that went into jobs that failed."""
    cancelled_cost: int = 0

    @property
    def wasted(self) -> int:
        return self.failed_cost + self.cancelled_cost

    @property
    def success_rate(self) -> float:
        """0 to 1; 0 where no job finished."""
        return self.succeeded_jobs / self.jobs if self.jobs else 0.0


@dataclass(frozen=True)
class MonthSummary:
    month: date
    cost: int
    input_tokens: int
    output_tokens: int
    jobs: int
    unpriced: int
    """Deductions whose cost is not known, and in no figure."""
    agents: list[AgentTypeSpend]
    """By cost, highest first, then label."""
    budget: BudgetStatus | None

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def succeeded_jobs(self) -> int:
        return sum(agent.succeeded_jobs for agent in self.agents)

    @property
    def failed_cost(self) -> int:
        return sum(agent.failed_cost for agent in self.agents)

    @property
    def cancelled_cost(self) -> int:
        return sum(agent.cancelled_cost for agent in self.agents)

    @property
    def wasted(self) -> int:
        return self.failed_cost + self.cancelled_cost

    def share(self, agent: AgentTypeSpend) -> float:
        """Percent of the month's cost."""
        return money.percent(agent.cost, self.cost)


def dollars_each(cost: int, number: int) -> float | None:
    """A cost by what it was spent on, in dollars; None where that is nothing."""
    return money.dollars(round(cost / number)) if number else None


def month_summary(project: Project, month: date | None = None) -> MonthSummary:
    month = month or this_month(project)
    return _month_summary(project, month, budgets.limit_of(project, month))


def _month_summary(project: Project, month: date, limit: int | None) -> MonthSummary:
    return _summed(month, _agents(project, [month])[month], limit)


def _agents(project: Project, months: list[date]) -> dict[date, list[AgentTypeSpend]]:
    """Each month's agent types, in one query."""
    rows = MonthlySpend.objects.filter(project=project, month__in=months).values_list(
        *("month", "agent_type__slug", "agent_type__label", "agent_type__color", "cost_nanos"),
        *("input_tokens", "output_tokens", "succeeded_jobs", "failed_jobs", "cancelled_jobs", "unpriced"),
        *("failed_cost_nanos", "cancelled_cost_nanos"),
    )
    found: dict[date, list[AgentTypeSpend]] = {month: [] for month in months}
    for month, slug, label, color, cost, into, out, ok, failed, cancelled, *rest in rows:
        jobs = ok + failed + cancelled
        found[month].append(AgentTypeSpend(slug, label, color, cost, into, out, jobs, ok, *rest))
    return found


def _summed(month: date, agents: list[AgentTypeSpend], limit: int | None) -> MonthSummary:
    agents.sort(key=lambda agent: (-agent.cost, agent.label, agent.agent_type))
    cost = sum(agent.cost for agent in agents)
    return MonthSummary(
        month=month,
        cost=cost,
        input_tokens=sum(agent.input_tokens for agent in agents),
        output_tokens=sum(agent.output_tokens for agent in agents),
        jobs=sum(agent.jobs for agent in agents),
        unpriced=sum(agent.unpriced for agent in agents),
        agents=agents,
        budget=budgets.status(limit, cost),
    )


@dataclass(frozen=True)
class Baseline:
    """What a month's KPIs are compared with: whole days of the month before, both included."""

    first: date
    last: date
    cost: int
    tokens: int
    jobs: int
    budget: BudgetStatus | None
    """These days' spend against the limit of their own month."""


@dataclass(frozen=True)
class MonthPage:
    """What the dashboard shows of a month besides its tabs."""

    summary: MonthSummary
    before: MonthSummary
    """The whole month before, without its limit."""
    baseline: Baseline
    daily: list[Spend]
    forecast: BudgetForecast | None
    """Of the present month alone."""


def month_page(project: Project, days: int, month: date | None = None) -> MonthPage:
    """Summary, comparison, daily series and forecast together: three queries, in the present month four."""
    shown = month or this_month(project)
    first, last = periods.same_days_before(shown, today(project))
    previous = periods.month_of(first)
    limits = budgets.limits_of(project, [shown, previous])
    agents = _agents(project, [shown, previous])
    span = day_range(project, days, month)
    present = shown == this_month(project)
    earliest = [first, span[0], *([earliest_day(project)] if present else [])]
    found = days_with_usage(project, min(earliest), span[-1])
    return MonthPage(
        summary=_summed(shown, agents[shown], limits[shown]),
        before=_summed(previous, agents[previous], None),
        baseline=_baseline(first, last, found, limits[previous]),
        daily=filled(span, found),
        forecast=budget_forecast(project, limits[shown], found) if present else None,
    )


def _baseline(first: date, last: date, found: dict[date, Spend], limit: int | None) -> Baseline:
    days = [spend for day, spend in found.items() if first <= day <= last]
    cost = sum(day.cost for day in days)
    return Baseline(
        first=first,
        last=last,
        cost=cost,
        tokens=sum(day.tokens for day in days),
        jobs=sum(day.jobs for day in days),
        budget=budgets.status(limit, cost),
    )
