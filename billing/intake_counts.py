"""What became of everything that arrived and looked like usage, counted by kind and day.

The counts are of reports received: a report that is sent or read again counts again.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NamedTuple

from django.utils import timezone

from billing.db import bulk
from billing.events.reasons import kind_of
from billing.events.usage_event import DEDUCTION, Rejection, UsageEvent
from billing.ledger import Outcome
from billing.models import IntakeCount
from billing.models.intake import ENDPOINT_LENGTH, REASON_LENGTH, SENDER_LENGTH, VERSION_LENGTH
from products.models import Project
from products.printable import printable

KINDS_A_DAY = 200
"""Senders name kinds, so each product has a limit; what exceeds it is counted by endpoint only."""
OTHER_KINDS = "other kinds"
KEPT_FOR = timedelta(days=30)
WITHHELD = "another event of the same request was refused"
"""Of events that `atomic` holds back."""


class Kind(NamedTuple):
    """What reports have in common. `reason` is empty if they were recorded, now or before."""

    endpoint: str
    sender: str = ""
    version: str = ""
    reason: str = ""


Counts = Counter[Kind]


def _nobody(event: UsageEvent | Rejection) -> str:
    return ""


def counts_of(
    endpoint: str,
    events: Sequence[UsageEvent | Rejection | None],
    outcomes: Sequence[Outcome],
    sender_of: Callable[[UsageEvent | Rejection], str] = _nobody,
) -> Counts:
    """Count what became of each event. Events that report no call, such as those of jobs, don't count."""
    counts = Counts()
    for event, outcome in zip(events, outcomes, strict=True):
        if event is None:
            continue
        reason = _reason(outcome)
        if reason or (isinstance(event, UsageEvent) and event.kind == DEDUCTION):
            counts[Kind(endpoint, sender_of(event), "", reason)] += 1
    return counts


def _reason(outcome: Outcome) -> str:
    if outcome.status in ("recorded", "duplicate"):
        return ""
    return WITHHELD if outcome.status == "withheld" else kind_of(outcome.reason, outcome.field)


def add(project: Project, counts: Counts) -> None:
    """Add to the counts of today, in UTC. The caller holds the project's lock."""
    today = timezone.now().date()
    bounded = _bounded(counts)
    if not bounded:
        return
    known = set(
        IntakeCount.objects.filter(project=project, day=today).values_list(
            "endpoint", "sender", "version", "reason"
        )
    )
    if not known:  # the first reports of a day
        IntakeCount.objects.filter(project=project, day__lt=today - KEPT_FOR).delete()
    rows = [
        (project.pk, today, *kind, number) for kind, number in sorted(_within_limit(bounded, known).items())
    ]
    bulk.add(IntakeCount, _KEY, ("count",), rows)


_KEY = ("project_id", "day", "endpoint", "sender", "version", "reason")


def _bounded(counts: Counts) -> Counts:
    """The counts with texts that the columns can hold."""
    bounded = Counts()
    for kind, number in counts.items():
        bounded[
            Kind(
                printable(kind.endpoint, ENDPOINT_LENGTH),
                printable(kind.sender, SENDER_LENGTH),
                printable(kind.version, VERSION_LENGTH),
                printable(kind.reason, REASON_LENGTH),
            )
        ] += number
    return bounded


def _within_limit(counts: Counts, known: set[tuple[str, str, str, str]]) -> Counts:
    """The counts, with kinds beyond the day's limit put together. What was understood stays apart."""
    room = KINDS_A_DAY - len(known)
    within = Counts()
    for kind, number in counts.most_common():
        if kind not in known:
            room -= 1
        is_within = kind in known or room >= 0
        rest = Kind(kind.endpoint, reason=OTHER_KINDS if kind.reason else "")
        within[kind if is_within else rest] += number
    return within
