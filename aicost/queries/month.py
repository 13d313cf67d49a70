"""The summary of a month: totals by agent type, and the budget."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from billing import money, periods
from billing.budgets import limits
from billing.budgets.limits import BudgetStatus
from billing.clock import this_month
from billing.models import MonthlySpend, PricedWithout, UnpricedUsage
from products.models import Project


@dataclass(frozen=True)
class AgentTypeSpend:
    """An agent type's share of a month. `jobs` counts the jobs that finished in the month."""

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
    """The part of the cost spent on failed jobs."""
    cancelled_cost: int = 0

    @property
    def wasted(self) -> int:
        return self.failed_cost + self.cancelled_cost

    @property
    def success_rate(self) -> float:
        """From 0 to 1. 0 if no job finished."""
        return self.succeeded_jobs / self.jobs if self.jobs else 0.0


@dataclass(frozen=True)
class MonthSummary:
    month: date
    cost: int
    input_tokens: int
    output_tokens: int
    jobs: int
    unpriced: int
    """The number of deductions whose cost is unknown. No total includes them."""
    agents: list[AgentTypeSpend]
    """By cost, highest first, then label."""
    budget: BudgetStatus | None
    before: "MonthSummary | None"
    """The whole month before, without its budget."""

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
        """The average cost of a finished job in this month and the one before, by agent type."""
        costs: defaultdict[str, int] = defaultdict(int)
        jobs: defaultdict[str, int] = defaultdict(int)
        for agent in [*self.agents, *(self.before.agents if self.before else ())]:
            costs[agent.agent_type] += agent.cost
            jobs[agent.agent_type] += agent.jobs
        return {name: max(costs[name], 0) // number for name, number in jobs.items() if number}

    def share(self, agent: AgentTypeSpend) -> float:
        """The agent type's cost in percent of the month's."""
        return money.percent(agent.cost, self.cost)


def dollars_each(cost: int, number: int) -> float | None:
    """The average of `cost` over `number` items, in dollars. None if there are no items."""
    return money.dollars(round(cost / number)) if number else None


def month_summary(project: Project, month: date | None = None) -> MonthSummary:
    """One query, including the month's limit. A month without usage needs a second query."""
    month = month or this_month(project)
    rows = list(_rows(project, month).annotate(limit=limits.limit_in_force(project, month)))
    limit = limits.nanos_of(rows[0]["limit"]) if rows else limits.limit_of(project, month)
    return _summary(month, rows, limit)


def summary_of(project: Project, month: date, limit: int | None) -> MonthSummary:
    """`month_summary` for callers that already know the month's limit."""
    return _summary(month, _rows(project, month), limit)


def _summary(month: date, rows: Iterable[dict[str, Any]], limit: int | None) -> MonthSummary:
    previous = periods.shift(month, -1)
    found: dict[date, list[AgentTypeSpend]] = {previous: [], month: []}
    for row in rows:
        found[row["month"]].append(_agent(row))
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
        budget=limits.status(limit, cost),
        before=before,
    )


def _rows(project: Project, month: date) -> Any:
    """The agent types' rollups of a month and the one before."""
    # Filter agent types by project, too: joining by id alone, PostgreSQL would read those of all projects.
    spends = MonthlySpend.objects.filter(project=project, agent_type__project=project)
    return spends.filter(month__in=[periods.shift(month, -1), month]).values(
        *("month", "agent_type__slug", "agent_type__label", "agent_type__color", "cost_nanos"),
        *("input_tokens", "output_tokens", "succeeded_jobs", "failed_jobs", "cancelled_jobs", "unpriced"),
        *("failed_cost_nanos", "cancelled_cost_nanos"),
    )


def _agent(row: dict[str, Any]) -> AgentTypeSpend:
    return AgentTypeSpend(
        agent_type=row["agent_type__slug"],
        label=row["agent_type__label"],
        color=row["agent_type__color"],
        cost=row["cost_nanos"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        jobs=row["succeeded_jobs"] + row["failed_jobs"] + row["cancelled_jobs"],
        succeeded_jobs=row["succeeded_jobs"],
        unpriced=row["unpriced"],
        failed_cost=row["failed_cost_nanos"],
        cancelled_cost=row["cancelled_cost_nanos"],
    )


@dataclass(frozen=True)
class UnpricedModel:
    model: str
    """As reported. "" if the usage named no model."""
    transactions: int
    input_tokens: int
    output_tokens: int


def unpriced_models(project: Project, month: date | None = None) -> list[UnpricedModel]:
    """Models of usage without a cost, by number of transactions, highest first, then by name."""
    rows = UnpricedUsage.objects.filter(project=project, month=month or this_month(project))
    found = rows.order_by("-transactions", "model")
    return [
        UnpricedModel(*row)
        for row in found.values_list("model", "transactions", "input_tokens", "output_tokens")
    ]


class FactorUsage(NamedTuple):
    """Deductions of a model that are priced without a factor that was reported."""

    model: str
    priced_without: str
    """As `serviceTier=priority`; several are separated by commas."""
    transactions: int


def priced_without(project: Project, month: date | None = None) -> list[FactorUsage]:
    """What is priced without a reported factor, by number of transactions, highest first."""
    if not project.has_missing_factors:
        return []
    rows = PricedWithout.objects.filter(project=project, month=month or this_month(project))
    found = rows.order_by("-transactions", "model", "priced_without")
    return [FactorUsage(*row) for row in found.values_list("model", "priced_without", "transactions")]
