"""A product's incoming credits, the balance, and how long it will last."""

from dataclasses import dataclass
from datetime import date, timedelta

from billing.clock import today
from billing.models import DailySpend, MonthlyCredits, MonthlySpend
from products.models import Project


@dataclass(frozen=True)
class CreditsIn:
    month: date
    purchased: int
    granted: int


@dataclass(frozen=True)
class Revenue:
    """Incoming credits, the balance, and how long it will last."""

    months: list[CreditsIn]
    """Newest first. Months without incoming credits are left out."""
    balance: int
    spent_in_30_days: int
    """Spend of the last 30 full days."""

    @property
    def days_left(self) -> float | None:
        """At the rate of the last 30 full days. None if nothing was spent in them."""
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
        # Summed here because SQL integers are limited to 64 bits.
        balance=sum(row.purchased + row.granted for row in months) - sum(spent),
        spent_in_30_days=sum(days.values_list("cost_nanos", flat=True)),
    )
