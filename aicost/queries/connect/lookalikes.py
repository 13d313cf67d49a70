"""Possible double counts: calls that two senders may both have reported."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Sum

from billing import periods
from billing.clock import this_month
from billing.ledger.calls.lookalikes.likeness import Alike, Senders, matched
from billing.models import Lookalike, LookalikeDecision
from products.models import Project


@dataclass(frozen=True)
class DoubleCount:
    """Calls of two senders that look alike, and are booked twice."""

    senders: Senders
    calls: int
    nanos: int
    """What is counted too much if they are the same calls."""


@dataclass(frozen=True)
class Settlement:
    """Two senders that look alike, with what has been decided, if anything has."""

    found: DoubleCount
    """With no calls if those that there were have been united."""
    decision: LookalikeDecision | None


def undecided_lookalikes(project: Project, month: date | None = None) -> list[DoubleCount]:
    """Those of a month that nobody has decided on. No query if the product never had any."""
    if not project.has_lookalikes:
        return []
    start = month or this_month(project)
    decided = LookalikeDecision.objects.filter(
        project=project, sender_a=OuterRef("sender_a"), sender_b=OuterRef("sender_b")
    )
    of_month = Lookalike.objects.filter(project=project, day__range=(start, periods.last_day(start)))
    return list(_double_counts(of_month.filter(~Exists(decided))))


def settlements(project: Project) -> list[Settlement]:
    """All pairs of senders of which calls look alike, or that have been decided on."""
    if not project.has_lookalikes:
        return []
    made = LookalikeDecision.objects.filter(project=project).select_related("decided_by")
    decisions = {(one.sender_a, one.sender_b): one for one in made}
    found = {one.senders: one for one in _double_counts(Lookalike.objects.filter(project=project))}
    return [
        Settlement(found.get(senders) or DoubleCount(senders, 0, 0), decisions.get(senders))
        for senders in sorted(found.keys() | decisions.keys())
    ]


def _double_counts(rows: Any) -> Iterator[DoubleCount]:
    of_senders = rows.values("sender_a", "sender_b").order_by("sender_a", "sender_b")
    sums = of_senders.annotate(
        pairs=Count("outer"),
        outers=Count("outer", distinct=True),
        inners=Count("inner", distinct=True),
        cost=Sum(F("nanos")),
    )
    for a, b, pairs, outers, inners, cost in sums.values_list(
        "sender_a", "sender_b", "pairs", "outers", "inners", "cost"
    ):
        if pairs == outers == inners:
            yield DoubleCount((a, b), pairs, int(cost))
        else:
            yield _ambiguous(rows.filter(sender_a=a, sender_b=b), (a, b))


def _ambiguous(rows: Any, senders: Senders) -> DoubleCount:
    """Some reports are in several pairs, of which only one can be a double count."""
    nanos = {Alike._make(row[:3]): row[3] for row in rows.values_list("margin", "outer", "inner", "nanos")}
    calls = matched(nanos)
    return DoubleCount(senders, len(calls), sum(nanos[call] for call in calls))
