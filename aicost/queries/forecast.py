"""How a product's month will end, and what the jobs that are running now may add."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Count, F, OuterRef, Subquery, Sum
from django.utils import timezone

from aicost.queries.months import this_month, today
from aicost.queries.series import Spend, days_with_usage
from billing import forecast, periods
from billing.forecast import Forecast, NotYet
from billing.models import MonthlySpend
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
    project: Project, limit: int | None, days: Mapping[date, Spend] | None = None
) -> BudgetForecast:
    """Of the present month. `days` are those from `earliest_day` on, where the caller has them already."""
    now = timezone.now()
    day = today(project)
    if days is None:
        days = days_with_usage(project, earliest_day(project), day)
    costs = {one: spend.cost for one, spend in days.items()}
    elapsed = periods.part_of_day(now, periods.zone(project.time_zone))
    return BudgetForecast(
        month=periods.month_of(day),
        outlook=forecast.forecast(costs, day, elapsed, limit),
        running=_running_jobs(project),
    )


def earliest_day(project: Project) -> date:
    return forecast.first_day(today(project))


def _running_jobs(project: Project) -> RunningJobs:
    """Each job that runs at the usual cost of its agent type: cost ÷ finished jobs, this month and last."""
    running = AgentJob.objects.filter(
        project=project, status=Status.RUNNING, last_event_at__gte=timezone.now() - SILENCE
    )
    rows = list(
        running.order_by()
        .values("agent_type")
        .annotate(
            number=Count("pk"),
            cost=_of_its_type(project, Sum("cost_nanos")),
            finished=_of_its_type(project, Sum(F("succeeded_jobs") + F("failed_jobs") + F("cancelled_jobs"))),
        )
        .values_list("number", "cost", "finished")
    )
    known = [number * max(cost, 0) // finished for number, cost, finished in rows if finished]
    jobs = sum(number for number, *_ in rows)
    return RunningJobs(jobs, sum(known) if known or not jobs else None)


def _of_its_type(project: Project, total: Sum) -> Subquery:
    """A sum over this month and the last."""
    month = this_month(project)
    spend = MonthlySpend.objects.filter(
        project=project, month__in=[periods.shift(month, -1), month], agent_type=OuterRef("agent_type")
    )
    return Subquery(spend.values("agent_type").annotate(total=total).values("total"))
