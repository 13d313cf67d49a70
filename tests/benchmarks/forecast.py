"""How far forecasts of a month's spend are from the actual spend, compared with the naive straight line.

    python -m tests.benchmarks.forecast [PATH…]

Each PATH, a file or a folder that `manage.py import_usage` reads, is imported as a product of its own;
the demo's products are added, which are synthetic. For each day of each month, at noon and at its
end, what could be known then is forecast and compared with what the month came to: an error is its
size ÷ the month's spend. A month counts where the usage reaches its last day; its last evening does not,
as nothing is left to forecast, nor do moments without enough days with spend, which are counted.
"""

import argparse
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import fmean, median
from typing import Any

import django
import time_machine

from billing import periods
from billing.budgets.forecast import Forecast, NotYet, forecast

DEMO_SEEN_AT = datetime(2026, 11, 1, tzinfo=UTC)
NOON, EVENING = 0.5, 1.0


@dataclass
class Series:
    """A product's spend on whole days, and on their mornings."""

    name: str
    days: dict[date, int]
    mornings: dict[date, int]

    def known(self, today: date, elapsed: float) -> dict[date, int]:
        """What was known at that moment."""
        days = {day: cost for day, cost in self.days.items() if day < today}
        return days | {today: (self.days if elapsed == EVENING else self.mornings).get(today, 0)}

    def months(self) -> Iterator[date]:
        """The months from the first with spend to the last that the usage covers completely."""
        spending = [day for day, cost in self.days.items() if cost > 0]
        month = periods.month_of(min(spending))
        while periods.last_day(month) <= max(spending):
            yield month
            month = periods.shift(month, 1)

    def total(self, month: date) -> int:
        return sum(cost for day, cost in self.days.items() if periods.month_of(day) == month)


Rival = Callable[[dict[date, int], date, float], float]


def straight_line(days: dict[date, int], today: date, elapsed: float, since: int = 1) -> float:
    """The naive forecast: spend so far ÷ days so far × days of the month."""
    spent = sum(cost for day, cost in days.items() if periods.month_of(day) == periods.month_of(today))
    so_far = today.day - since + elapsed
    return spent + spent / so_far * (periods.last_day(today).day - today.day + 1 - elapsed)


def straight_line_since_first_spend(days: dict[date, int], today: date, elapsed: float) -> float:
    first = min(day for day, cost in days.items() if cost > 0)
    same_month = periods.month_of(first) == periods.month_of(today)
    return straight_line(days, today, elapsed, first.day if same_month else 1)


def weekday_profile(days: dict[date, int], today: date, elapsed: float) -> float:
    """Each remaining day costs what its weekday did in the last four weeks, if there was usage then."""
    spent = sum(cost for day, cost in days.items() if periods.month_of(day) == periods.month_of(today))
    first = min(day for day, cost in days.items() if cost > 0)
    full = [day for day in periods.days_ending(today - timedelta(days=1), 28) if day >= first]
    average = fmean(days.get(day, 0) for day in full) if full else 0.0
    to_come = 0.0
    for day_ahead in periods.days_between(today, periods.last_day(today)):
        same_weekday = [days.get(day, 0) for day in full if day.weekday() == day_ahead.weekday()]
        expected = fmean(same_weekday) if same_weekday else average
        to_come += max(expected, 0) * (1 - elapsed if day_ahead == today else 1)
    return spent + to_come


RIVALS: dict[str, Rival] = {
    "straight_line": straight_line,
    "straight_line_since_first_spend": straight_line_since_first_spend,
    "weekday_profile": weekday_profile,
}


@dataclass
class Result:
    months: int = 0
    forecasts: int = 0
    not_yet: int = 0
    in_range: int = 0
    errors: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    by_month: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, series: Series) -> None:
        for month in series.months():
            if series.total(month) <= 0:
                continue
            self.months += 1
            errors = self._month(series, month)
            for method, sizes in errors.items():
                self.errors[method] += sizes
                self.by_month[method].append(fmean(sizes))

    def _month(self, series: Series, month: date) -> dict[str, list[float]]:
        total, last = series.total(month), periods.last_day(month)
        errors = defaultdict(list)
        for today in periods.days_between(month, last):
            for elapsed in (NOON, EVENING):
                if (today, elapsed) == (last, EVENING):
                    continue
                days = series.known(today, elapsed)
                found = forecast(days, today, elapsed)
                if isinstance(found, NotYet):
                    self.not_yet += 1
                    continue
                self._judge(found, total)
                errors["forecast"].append(abs(found.month_end - total) / total)
                for name, rival in RIVALS.items():
                    errors[name].append(abs(rival(days, today, elapsed) - total) / total)
        return errors

    def _judge(self, found: Forecast, total: int) -> None:
        self.forecasts += 1
        self.in_range += found.low <= total <= found.high

    def summary(self, name: str) -> dict[str, Any]:
        summary: dict[str, Any] = {"series": name, "months": self.months, "forecasts": self.forecasts}
        summary["not_yet"] = self.not_yet
        if not self.forecasts:
            return summary
        for method, sizes in self.errors.items():
            summary[method] = {
                "mean": round(fmean(sizes), 3),
                "median": round(median(sizes), 3),
                "of_straight_line": round(fmean(sizes) / fmean(self.errors["straight_line"]), 2),
            }
        pairs = list(zip(self.by_month["forecast"], self.by_month["straight_line"], strict=True))
        summary["months_better_worse"] = [sum(a < b for a, b in pairs), sum(a > b for a, b in pairs)]
        summary["in_range"] = round(self.in_range / self.forecasts, 2)
        return summary


def imported(path: Path) -> Series:
    from django.contrib.auth import get_user_model

    from billing.imports.importer import import_paths
    from products.models import Project

    owner, _ = get_user_model().objects.get_or_create(username="bench")
    project = Project.objects.create(name=path.name, owner=owner)
    receipt = import_paths(project, [path])
    assert not receipt.failed, receipt
    return series_of(project)


def demo_products() -> list[Series]:
    from aicost import demo
    from products.models import Project

    with time_machine.travel(DEMO_SEEN_AT, tick=False):
        demo.fill()
    names = [plan.name for plan in demo.PLANS if plan.runs_a_day]
    return [series_of(project) for project in Project.objects.filter(name__in=names)]


def series_of(project: Any) -> Series:
    from billing.events.usage_event import Kind
    from billing.models import CreditTransaction

    zone = periods.zone(project.time_zone)
    days: defaultdict[date, int] = defaultdict(int)
    mornings: defaultdict[date, int] = defaultdict(int)
    rows = CreditTransaction.objects.filter(project=project, kind__in=(Kind.DEDUCTION, Kind.REFUND))
    for day, at, kind, amount in rows.values_list("billed_on", "occurred_at", "kind", "amount_nanos"):
        cost = amount if kind == Kind.DEDUCTION else -amount
        days[day] += cost
        if periods.part_of_day(at, zone) < NOON:
            mornings[day] += cost
    return Series(project.name, dict(days), dict(mornings))


def measure(paths: list[Path]) -> Iterator[dict[str, Any]]:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    real = Result()
    for path in paths:
        series, alone = imported(path), Result()
        alone.add(series)
        real.add(series)
        yield alone.summary(series.name)
    if len(paths) > 1:
        yield real.summary("all of these")
    synthetic = Result()
    for series in demo_products():
        synthetic.add(series)
    yield synthetic.summary("demo (synthetic)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "aicost.settings",
            "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3",
            "SECRET_KEY": "bench",
            "DEBUG": "false",
        }
        django.setup()
        for line in measure(options.paths):
            print(json.dumps(line))


if __name__ == "__main__":
    main()
