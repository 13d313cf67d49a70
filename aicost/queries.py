"""The read side: every figure that pages and procedures show, from the rollups, each by one function.

Costs are whole nano-dollars, tokens and jobs whole numbers, days and months in the project's
billing zone. `month` is the first day of a month, the present one where it is left out.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import F, Sum
from django.utils import timezone

from billing import budgets, money, periods
from billing.budgets import BudgetStatus
from billing.models import BudgetChange, CreditTransaction, DailySpend, MonthlyCredits, MonthlySpend, RunSpend
from products.models import Project

TOP_RUNS = 5
RECENT = 50
BUDGET_CHANGES = 100


def today(project: Project) -> date:
    return periods.day_of(timezone.now(), periods.zone(project.time_zone))


def this_month(project: Project) -> date:
    return periods.month_of(today(project))


def month_from(project: Project, text: str | None) -> date:
    """The month that `YYYY-MM` names, the present one for None; raises `ValidationError` naming `month`."""
    present = this_month(project)
    if text is None:
        return present
    try:
        month = periods.parse_month(text)
    except ValueError:
        raise ValidationError({"month": "must be written YYYY-MM"}) from None
    if not periods.EARLIEST_MONTH <= month <= present:
        raise ValidationError({"month": f"must be from 2000-01 to {periods.month_text(present)}"})
    return month


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

    def share(self, agent: AgentTypeSpend) -> float:
        """Percent of the month's cost."""
        return money.percent(agent.cost, self.cost)


def month_summary(project: Project, month: date | None = None) -> MonthSummary:
    month = month or this_month(project)
    return _month_summary(project, month, budgets.limit_of(project, month))


def _month_summary(project: Project, month: date, limit: int | None) -> MonthSummary:
    rows = MonthlySpend.objects.filter(project=project, month=month).values_list(
        *("agent_type__slug", "agent_type__label", "agent_type__color", "cost_nanos", "input_tokens"),
        *("output_tokens", "succeeded_jobs", "failed_jobs", "cancelled_jobs", "unpriced"),
    )
    agents = [
        AgentTypeSpend(slug, label, color, cost, into, out, ok + failed + cancelled, ok, unpriced)
        for slug, label, color, cost, into, out, ok, failed, cancelled, unpriced in rows
    ]
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
class Spend:
    """Cost, tokens and finished jobs of a day or month, named by its first day."""

    start: date
    cost: int = 0
    tokens: int = 0
    jobs: int = 0


def monthly_trend(project: Project, month: date | None = None) -> list[Spend]:
    """Six months ending with `month`, oldest first, empty ones as zeros."""
    months = periods.months_ending(month or this_month(project), periods.TREND_MONTHS)
    return _trends([project.pk], months)[project.pk]


def _trends(projects: Iterable[int], months: list[date]) -> dict[int, list[Spend]]:
    """The months of each project, zero-filled."""
    projects = list(projects)
    rows = (
        MonthlySpend.objects.filter(project__in=projects, month__range=(months[0], months[-1]))
        .values("project_id", "month")
        .annotate(
            cost=Sum("cost_nanos"),
            tokens=Sum(F("input_tokens") + F("output_tokens")),
            jobs=Sum(F("succeeded_jobs") + F("failed_jobs") + F("cancelled_jobs")),
        )
    )
    found = {
        (row["project_id"], row["month"]): Spend(
            row["month"], int(row["cost"]), int(row["tokens"]), int(row["jobs"])
        )
        for row in rows
    }
    return {project: [found.get((project, month), Spend(month)) for month in months] for project in projects}


def daily_spend(project: Project, days: int, month: date | None = None) -> list[Spend]:
    """The last 7, 14, 30 or 90 days, oldest first, empty ones as zeros.

    They end today or, for a past month, on its last day. Raises `ValidationError` naming `days`.
    """
    span = _day_range(project, days, month)
    return _filled(span, _days(project, span[0], span[-1]))


def _day_range(project: Project, days: int, month: date | None) -> list[date]:
    if days not in periods.DAY_RANGES:
        raise ValidationError({"days": "must be one of 7, 14, 30, 90"})
    last = today(project)
    if month and month != periods.month_of(last):
        last = periods.last_day(month)
    return periods.days_ending(last, days)


def _days(project: Project, first: date, last: date) -> dict[date, Spend]:
    """The days from `first` to `last` on which something was spent or finished."""
    rows = DailySpend.objects.filter(project=project, day__range=(first, last)).values_list(
        "day", "cost_nanos", "input_tokens", "output_tokens", "jobs"
    )
    return {day: Spend(day, cost, into + out, jobs) for day, cost, into, out, jobs in rows}


def _filled(span: list[date], found: dict[date, Spend]) -> list[Spend]:
    return [found.get(day, Spend(day)) for day in span]


@dataclass(frozen=True)
class MonthPage:
    """What the dashboard shows of a month besides its tabs."""

    summary: MonthSummary
    baseline: Baseline
    daily: list[Spend]


def month_page(project: Project, days: int, month: date | None = None) -> MonthPage:
    """Summary, comparison and daily series together, in three queries."""
    shown = month or this_month(project)
    first, last = periods.same_days_before(shown, today(project))
    limits = budgets.limits_of(project, [shown, periods.month_of(first)])
    span = _day_range(project, days, month)
    found = _days(project, min(first, span[0]), span[-1])
    return MonthPage(
        summary=_month_summary(project, shown, limits[shown]),
        baseline=_baseline(first, last, found, limits[periods.month_of(first)]),
        daily=_filled(span, found),
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


@dataclass(frozen=True)
class RunCost:
    """A run with its spend: of one month among the top runs, of all time in lists of runs."""

    run_id: str
    status: str
    trigger: str
    started_at: datetime | None
    finished_at: datetime | None
    job_count: int
    tokens: int
    cost: int


def top_runs(project: Project, month: date | None = None) -> list[RunCost]:
    """The month's five costliest runs, ties by latest start, then run id."""
    rows = (
        RunSpend.objects.filter(project=project, month=month or this_month(project))
        .select_related("run")
        .order_by("-cost_nanos", F("run__started_at").desc(nulls_last=True), "run__run_id")
    )
    return [
        RunCost(
            run_id=row.run.run_id,
            status=row.run.status,
            trigger=row.run.trigger,
            started_at=row.run.started_at,
            finished_at=row.run.finished_at,
            job_count=row.run.job_count,
            tokens=row.input_tokens + row.output_tokens,
            cost=row.cost_nanos,
        )
        for row in rows[:TOP_RUNS]
    ]


@dataclass(frozen=True)
class Deduction:
    """One line of the ledger with what it belongs to. Input tokens include cached ones."""

    event_id: str
    run_id: str
    job_id: str
    agent_type: str
    label: str
    color: str
    model: str
    input_tokens: int
    output_tokens: int
    cost: int
    unpriced: bool
    occurred_at: datetime


def recent(project: Project, month: date | None = None) -> list[Deduction]:
    """The last 50 deductions, newest first; with `month` the newest 50 before its end."""
    rows = CreditTransaction.objects.deductions().filter(project=project)
    if month:
        rows = rows.filter(occurred_at__lt=periods.month_end(month, periods.zone(project.time_zone)))
    return deductions(rows.order_by("-occurred_at", "event_id")[:RECENT])


def deductions(rows: Any) -> list[Deduction]:
    """Ledger rows with their agent type and run; `rows` is a queryset of transactions with a job."""
    values = rows.values_list(
        *("event_id", "job__run__run_id", "job__job_id", "job__agent_type__slug", "job__agent_type__label"),
        *("job__agent_type__color", "model", "input_tokens", "cache_read_tokens", "cache_write_tokens"),
        *("output_tokens", "amount_nanos", "cost_source", "occurred_at"),
    )
    return [
        Deduction(
            event,
            run,
            job,
            slug,
            label,
            color,
            model,
            into + read + write,
            out,
            cost,
            source == "unpriced",
            at,
        )
        for event, run, job, slug, label, color, model, into, read, write, out, cost, source, at in values
    ]


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
        trends = _trends([project.pk for project in group], months)
        for project in group:
            trend = trends[project.pk]
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
