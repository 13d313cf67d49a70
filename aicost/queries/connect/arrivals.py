"""What arrived lately, and what of it was not understood."""

from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Sum
from django.utils import timezone

from billing.intake_counts import Kind
from billing.models import IntakeCount
from products.models import Project


@dataclass(frozen=True)
class Arrivals:
    """Reports of usage received since the beginning of a day in UTC. One that was sent again counts again."""

    since: date
    understood: int
    not_understood: list[tuple[Kind, int]]
    """By number, largest first, then by kind."""

    @property
    def received(self) -> int:
        return self.understood + sum(number for _, number in self.not_understood)


def arrivals(project: Project) -> Arrivals:
    """What arrived yesterday and today, in UTC: the last 24 hours at least."""
    since = timezone.now().date() - timedelta(days=1)
    rows = IntakeCount.objects.filter(project=project, day__gte=since)
    sums = rows.values_list("endpoint", "sender", "version", "reason").annotate(number=Sum("count"))
    counts = [(Kind(*key), number) for *key, number in sums.order_by()]
    not_understood = [(kind, number) for kind, number in counts if kind.reason]
    return Arrivals(
        since=since,
        understood=sum(number for kind, number in counts if not kind.reason),
        not_understood=sorted(not_understood, key=lambda counted: (-counted[1], counted[0])),
    )
