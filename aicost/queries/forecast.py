"""How a product's month will end, and what the jobs that are running now may add."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Count
from django.utils import timezone

from aicost.queries.month import MonthSummary
from aicost.queries.series import Spend, costs_by_day, days_with_usage
from billing import periods
from billing.budgets import forecast
from billing.budgets.forecast import Forecast, NotYet
from billing.clock import today
from products.models import AgentJob, Project, Status

SILENCE = timedelta(hours=24)
"""A job of which nothing was told for so long is taken for lost, not for running."""


@dataclass(frozen=True)
class RunningJobs:
    jobs: int
    exposure: int | None
    """What they usually cost together; None where no job of their kind finished this month or last."""


@dataclass(frozen=True)
class BudgetForecast:
    month: date
    outlook: Forecast | NotYet
    running: RunningJobs

    @property
    def passes_limit(self) -> bool:
        return isinstance(self.outlook, Forecast) and self.outlook.limit_passed_on is not None


def budget_forecast(
    project: Project, summary: MonthSummary, days: Mapping[date, Spend] | None = None
) -> BudgetForecast:
    """Of the present month, which `summary` is. `days` are those from `earliest_day` on, where known."""
    day = today(project)
    if days is None:
        days = days_with_usage(project, earliest_day(project), day)
    costs = {one: spend.cost for one, spend in days.items()}
    limit = summary.budget.limit_nanos if summary.budget else None
    return BudgetForecast(
        month=summary.month,
        outlook=outlook(project, costs, limit),
        running=_running_jobs(project, summary.usual_costs),
    )


def days_looked_back_on(projects: Sequence[Project]) -> dict[int, dict[date, int]]:
    """What the forecast of each project looks at, by project id, in one query."""
    # Zones stand on different days: a day more than a project needs changes nothing in its forecast.
    first, last = min(map(earliest_day, projects)), max(map(today, projects))
    return costs_by_day([project.pk for project in projects], first, last)


def outlook(project: Project, costs: Mapping[date, int], limit: int | None) -> Forecast | NotYet:
    """How the present month will end; `costs` are of the days that the forecast looks back on."""
    elapsed = periods.part_of_day(timezone.now(), periods.zone(project.time_zone))
    return forecast.forecast(costs, today(project), elapsed, limit)


def earliest_day(project: Project) -> date:
    return forecast.first_day(today(project))


def _running_jobs(project: Project, usual_costs: Mapping[str, int]) -> RunningJobs:
    heard_since = timezone.now() - SILENCE
    running = AgentJob.objects.filter(
        project=project, status=Status.RUNNING, last_event_at__gte=heard_since
    ).values_list("agent_type__slug")
    rows = list(running.annotate(number=Count("pk")).order_by())
    known = [number * usual_costs[kind] for kind, number in rows if kind in usual_costs]
    jobs = sum(number for _, number in rows)
    return RunningJobs(jobs, sum(known) if known or not jobs else None)
