"""What every rollup must hold, by the plain join credit transactions → agent jobs → pipeline runs.

Spend belongs to the project of its run, by definition; purchases and grants, which have no run, belong
to their own project.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from django.db import connection, models
from django.db.models import Case, Count, F, Q, Sum, Value, When
from django.db.models.functions import TruncMonth

from billing.events.usage_event import DEDUCTION, GRANT, PURCHASE, REFUND, REVERSAL
from billing.models import (
    CostSource,
    CreditTransaction,
    DailyAgentSpend,
    DailySpend,
    MonthlyCredits,
    MonthlySpend,
    MonthTotal,
    PricedWithout,
    RunSpend,
    UnpricedUsage,
)
from products.models import AgentJob, Project
from products.statuses import CANCELLED, FAILED, SUCCEEDED


class Part(NamedTuple):
    """Rows that a rollup sums. `keys` and `sums` are expressions by the name of the rollup's column."""

    rows: Callable[[Project], models.QuerySet]
    keys: dict[str, Any]
    sums: dict[str, Any]


class Rollup:
    """A table of sums: its key columns besides the project, its counters, and what they must hold."""

    def __init__(self, model: type[models.Model], sums: Sequence[str], *parts: Part) -> None:
        self.model = model
        self.keys = tuple(parts[0].keys)
        self.sums = tuple(sums)
        self.parts = parts
        self.name = str(model._meta.verbose_name)


# The run's project decides. The row's own project is a condition, too, because every index begins with it;
# without it, each project would read the whole table. `verification` reports rows where the two differ.


def _spending(project: Project) -> models.QuerySet:
    rows = CreditTransaction.objects.filter(project=project, job__project=project, job__run__project=project)
    return rows.filter(kind__in=(DEDUCTION, REFUND, REVERSAL))


def _unpriced(project: Project) -> models.QuerySet:
    rows = CreditTransaction.objects.unpriced()
    return rows.filter(project=project, job__project=project, job__run__project=project)


def _incoming(project: Project) -> models.QuerySet:
    return CreditTransaction.objects.filter(project=project, kind__in=(PURCHASE, GRANT))


def _finished_jobs(project: Project) -> models.QuerySet:
    return AgentJob.objects.filter(project=project, run__project=project, finished_on__isnull=False)


def _signed(expression: Any, *negative: str) -> Case:
    """The expression, negated for some kinds of transactions."""
    return Case(
        When(kind__in=negative, then=-expression), default=expression, output_field=models.BigIntegerField()
    )


_SIGNED = _signed(F("amount_nanos"), REFUND, REVERSAL)
SPEND = {
    "cost_nanos": Sum(_SIGNED),
    "input_tokens": Sum(
        _signed(F("input_tokens") + F("cache_read_tokens") + F("cache_write_tokens"), REVERSAL)
    ),
    "output_tokens": Sum(_signed(F("output_tokens"), REVERSAL)),
    "transactions": Sum(_signed(Value(1), REVERSAL)),
}
"""Only deductions have tokens, and reversals, which take those of a deduction back."""
_UNPRICED = Q(cost_source=CostSource.UNPRICED)
UNPRICED = (
    Count("pk", filter=_UNPRICED & Q(kind=DEDUCTION))
    - Count("pk", filter=_UNPRICED & Q(kind=REVERSAL))
    - Count("pk", filter=Q(corrects__isnull=False))
)
"""Each correction has the job and day of the unpriced deduction whose cost it adds. The reversal of a
deduction is unpriced if the deduction was, and had no correction."""
FINISHED_JOBS = {SUCCEEDED: "succeeded_jobs", FAILED: "failed_jobs", CANCELLED: "cancelled_jobs"}
"""The counter for each status of a finished job."""
WASTE = {FAILED: "failed_cost_nanos", CANCELLED: "cancelled_cost_nanos"}
"""The counter of the cost of jobs that failed or were cancelled, by status."""

BY_AGENT_TYPE = Rollup(
    MonthlySpend,
    (*SPEND, "unpriced", *FINISHED_JOBS.values(), *WASTE.values()),
    Part(
        _spending,
        {"month": TruncMonth("billed_on"), "agent_type_id": F("job__agent_type_id")},
        {
            **SPEND,
            "unpriced": UNPRICED,
            **{name: Sum(_SIGNED, filter=Q(job__status=status)) for status, name in WASTE.items()},
        },
    ),
    Part(
        _finished_jobs,
        {"month": TruncMonth("finished_on"), "agent_type_id": F("agent_type_id")},
        {name: Count("pk", filter=Q(status=status)) for status, name in FINISHED_JOBS.items()},
    ),
)
BY_DAY = Rollup(
    DailySpend,
    (*SPEND, "jobs"),
    Part(_spending, {"day": F("billed_on")}, SPEND),
    Part(_finished_jobs, {"day": F("finished_on")}, {"jobs": Count("pk")}),
)
BY_MONTH = Rollup(
    MonthTotal,
    (*SPEND, "jobs"),
    Part(_spending, {"month": TruncMonth("billed_on")}, SPEND),
    Part(_finished_jobs, {"month": TruncMonth("finished_on")}, {"jobs": Count("pk")}),
)
BY_DAY_AND_AGENT_TYPE = Rollup(
    DailyAgentSpend,
    (*SPEND, "jobs"),
    Part(_spending, {"day": F("billed_on"), "agent_type_id": F("job__agent_type_id")}, SPEND),
    Part(
        _finished_jobs,
        {"day": F("finished_on"), "agent_type_id": F("agent_type_id")},
        {"jobs": Count("pk")},
    ),
)
BY_RUN = Rollup(
    RunSpend,
    tuple(SPEND),
    Part(_spending, {"run_id": F("job__run_id"), "month": TruncMonth("billed_on")}, SPEND),
)
CREDITS = Rollup(
    MonthlyCredits,
    ("purchased_nanos", "granted_nanos", "transactions"),
    Part(
        _incoming,
        {"month": TruncMonth("billed_on")},
        {
            "purchased_nanos": Sum("amount_nanos", filter=Q(kind=PURCHASE)),
            "granted_nanos": Sum("amount_nanos", filter=Q(kind=GRANT)),
            "transactions": Count("pk"),
        },
    ),
)
BY_UNPRICED_MODEL = Rollup(
    UnpricedUsage,
    ("transactions", "input_tokens", "output_tokens"),
    Part(
        _unpriced,
        {"month": TruncMonth("billed_on"), "model": F("model")},
        {name: SPEND[name] for name in ("transactions", "input_tokens", "output_tokens")},
    ),
)
BY_MISSING_FACTOR = Rollup(
    PricedWithout,
    ("transactions",),
    Part(
        lambda project: _spending(project).exclude(priced_without=""),
        {"month": TruncMonth("billed_on"), "model": F("model"), "priced_without": F("priced_without")},
        {"transactions": SPEND["transactions"]},
    ),
)
ALL = (
    *(BY_AGENT_TYPE, BY_MONTH, BY_DAY, BY_DAY_AND_AGENT_TYPE, BY_RUN, CREDITS, BY_UNPRICED_MODEL),
    BY_MISSING_FACTOR,
)
"""In the order in which every writer locks them."""

Row = tuple[tuple[Any, ...], tuple[int, ...]]


def expect_whole_tables() -> None:
    """Switch off PostgreSQL's nested loops for the rest of the transaction.

    Just after a large import its statistics still say that the tables are empty. It would then choose a
    nested loop over whole tables, which takes minutes, where a hash join takes a second.
    """
    if connection.vendor == "postgresql" and connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_nestloop = off")


def truth(project: Project, rollup: Rollup) -> Iterator[Row]:
    """The key and sums of each row that a rollup must have, by ascending key, read as a stream."""
    parts = [_rows(project, rollup, part) for part in rollup.parts]
    for key, group in groupby(heapq.merge(*parts, key=itemgetter(0)), key=itemgetter(0)):
        yield key, tuple(map(sum, zip(*(sums for _, sums in group), strict=True)))


def _rows(project: Project, rollup: Rollup, part: Part) -> Iterator[Row]:
    # Django allows no annotation with the name of a column, hence the prefixes.
    keys = {f"key_{name}": expression for name, expression in part.keys.items()}
    sums = {f"sum_{name}": expression for name, expression in part.sums.items()}
    rows = part.rows(project).annotate(**keys).values(*keys).annotate(**sums).order_by(*keys)
    for row in rows.iterator(chunk_size=10_000):
        totals = tuple(int(row.get(f"sum_{name}") or 0) for name in rollup.sums)
        if any(totals):
            yield tuple(row[name] for name in keys), totals
