"""A month: its sums by agent type, and its budget."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

from aicost.queries.months import this_month
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
    before: "MonthSummary | None"
    """The whole month before, without its limit."""

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

    @property
    def usual_costs(self) -> dict[str, int]:
        """What a finished job of an agent type cost on average, in this month and the one before."""
        costs: defaultdict[str, int] = defaultdict(int)
        jobs: defaultdict[str, int] = defaultdict(int)
        for agent in [*self.agents, *(self.before.agents if self.before else ())]:
            costs[agent.agent_type] += agent.cost
            jobs[agent.agent_type] += agent.jobs
        return {name: max(costs[name], 0) // number for name, number in jobs.items() if number}

    def share(self, agent: AgentTypeSpend) -> float:
        """Percent of the month's cost."""
        return money.percent(agent.cost, self.cost)


def dollars_each(cost: int, number: int) -> float | None:
    """A cost by what it was spent on, in dollars; None where that is nothing."""
    return money.dollars(round(cost / number)) if number else None


def month_summary(project: Project, month: date | None = None) -> MonthSummary:
    month = month or this_month(project)
    return summary_of(project, month, budgets.limit_of(project, month))


def summary_of(project: Project, month: date, limit: int | None) -> MonthSummary:
    """`month_summary` where the month's limit is known already."""
    previous = periods.shift(month, -1)
    found = _agents(project, [previous, month])
    return _summed(month, found[month], limit, _summed(previous, found[previous]))


def _summed(
    month: date, agents: list[AgentTypeSpend], limit: int | None = None, before: MonthSummary | None = None
) -> MonthSummary:
    cost = sum(agent.cost for agent in agents)
    return MonthSummary(
        month=month,
        cost=cost,
        input_tokens=sum(agent.input_tokens for agent in agents),
        output_tokens=sum(agent.output_tokens for agent in agents),
        jobs=sum(agent.jobs for agent in agents),
        unpriced=sum(agent.unpriced for agent in agents),
        agents=sorted(agents, key=lambda agent: (-agent.cost, agent.label, agent.agent_type)),
        budget=budgets.status(limit, cost),
        before=before,
    )


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
