"""The forecast of a product's current month, and what the running jobs may add to it."""

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
"""After this long without an event, a running job counts as lost."""


@dataclass(frozen=True)
class RunningJobs:
    jobs: int
    exposure: int | None
    """Their usual cost in total. None if no job of their agent types finished this month or last."""


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
    """The forecast of the current month. `summary` is that month's.

    Pass the `days` from `earliest_day` to today if you have them, to save a query.
    """
    if days is None:
        days = days_with_usage(project, earliest_day(project), today(project))
    costs = {day: spend.cost for day, spend in days.items()}
    limit = summary.budget.limit_nanos if summary.budget else None
    return BudgetForecast(
        month=summary.month,
        outlook=outlook(project, costs, limit),
        running=_running_jobs(project, summary.usual_costs),
    )


def costs_for_forecasts(projects: Sequence[Project]) -> dict[int, dict[date, int]]:
    """The daily costs that each project's forecast is based on, by project id, in one query."""
    # Today differs between time zones. A day more than a project needs does not change its forecast.
    first, last = min(map(earliest_day, projects)), max(map(today, projects))
    return costs_by_day([project.pk for project in projects], first, last)


def outlook(project: Project, costs: Mapping[date, int], limit: int | None) -> Forecast | NotYet:
    """The forecast of the current month. `costs` has the cost of each day since `earliest_day` with usage."""
    elapsed = periods.part_of_day(timezone.now(), periods.zone(project.time_zone))
    return forecast.forecast(costs, today(project), elapsed, limit)


def earliest_day(project: Project) -> date:
    """The first day that the forecast is based on."""
    return forecast.first_day(today(project))


def _running_jobs(project: Project, usual_costs: Mapping[str, int]) -> RunningJobs:
    cutoff = timezone.now() - SILENCE
    running = AgentJob.objects.filter(
        project=project, status=Status.RUNNING, last_event_at__gte=cutoff
    ).values_list("agent_type__slug")
    rows = list(running.annotate(number=Count("pk")).order_by())
    known = [number * usual_costs[kind] for kind, number in rows if kind in usual_costs]
    jobs = sum(number for _, number in rows)
    return RunningJobs(jobs, sum(known) if known or not jobs else None)
