"""Spend by day and by month, oldest first, with zeros for empty periods."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.core.exceptions import ValidationError

from billing import periods
from billing.clock import this_month, today
from billing.models import DailySpend, MonthTotal
from products.models import Project


@dataclass(frozen=True)
class Spend:
    """Cost, tokens and finished jobs of a day, or of the month that begins on `start`."""

    start: date
    cost: int = 0
    tokens: int = 0
    jobs: int = 0


def monthly_trend(project: Project, month: date | None = None) -> list[Spend]:
    """Six months ending with `month`, oldest first, with zeros for empty months."""
    months = periods.months_ending(month or this_month(project), periods.TREND_MONTHS)
    return trends([project.pk], months)[project.pk]


def trends(projects: Iterable[int], months: list[date]) -> dict[int, list[Spend]]:
    """These months of each project, by project id, with zeros for empty months."""
    projects = list(projects)
    rows = MonthTotal.objects.filter(project__in=projects, month__range=(months[0], months[-1])).values_list(
        "project_id", "month", "cost_nanos", "input_tokens", "output_tokens", "jobs"
    )
    found = {
        (project, month): Spend(month, cost, into + out, jobs)
        for project, month, cost, into, out, jobs in rows
    }
    return {project: [found.get((project, month), Spend(month)) for month in months] for project in projects}


def daily_spend(project: Project, days: int, month: date | None = None) -> list[Spend]:
    """The last 7, 14, 30 or 90 days, oldest first, with zeros for empty days.

    The last day is today, or the last day of a past `month`. Raises `ValidationError` naming `days`.
    """
    span = day_range(project, days, month)
    return filled(span, days_with_usage(project, span[0], span[-1]))


def day_range(project: Project, days: int, month: date | None) -> list[date]:
    if days not in periods.DAY_RANGES:
        raise ValidationError({"days": "must be one of 7, 14, 30, 90"})
    last = today(project)
    if month and month != periods.month_of(last):
        last = periods.last_day(month)
    return periods.days_ending(last, days)


def days_with_usage(project: Project, first: date, last: date) -> dict[date, Spend]:
    """The days from `first` to `last` with spend or a finished job, in one query."""
    rows = DailySpend.objects.filter(project=project, day__range=(first, last)).values_list(
        "day", "cost_nanos", "input_tokens", "output_tokens", "jobs"
    )
    return {day: Spend(day, cost, into + out, jobs) for day, cost, into, out, jobs in rows}


def costs_by_day(projects: Iterable[int], first: date, last: date) -> dict[int, dict[date, int]]:
    """Each project's costs by day, in one query. Days and projects without usage are left out."""
    rows = DailySpend.objects.filter(project__in=projects, day__range=(first, last)).values_list(
        "project_id", "day", "cost_nanos"
    )
    found: defaultdict[int, dict[date, int]] = defaultdict(dict)
    for project, day, cost in rows:
        found[project][day] = cost
    return found


def filled(span: list[date], found: dict[date, Spend]) -> list[Spend]:
    return [found.get(day, Spend(day)) for day in span]
