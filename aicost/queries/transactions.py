"""Lines of the ledger with their run, job and agent type."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import islice
from typing import Any

from django.db.models import Case, Subquery, When

from billing import periods
from billing.ledger.calls.adjustments import sent_id
from billing.models import CallReport, CostSource, CreditTransaction, LedgerQuerySet, corrections
from products.models import AgentJob, Project

RECENT = 50
_CHUNK = 2_000
_LEDGER_CHUNK = 5_000


@dataclass(frozen=True)
class Deduction:
    """A ledger line with its run, job and agent type. Input tokens include cached ones."""

    event_id: str
    run_id: str
    job_id: str
    agent_type: str
    label: str
    color: str
    model: str
    input_tokens: int
    output_tokens: int
    cost: int
    """Includes a cost that was missing at first and has been added since."""
    unpriced: bool
    occurred_at: datetime
    other_senders: tuple[str, ...] = ()
    """Who else reported the call, in the order of their names. Only `with_other_senders` looks them up."""


def recent(project: Project, month: date | None = None) -> list[Deduction]:
    """The latest 50 deductions, newest first. With `month`, the latest 50 before its end."""
    rows = CreditTransaction.objects.deductions().filter(project=project)
    if month:
        rows = rows.filter(occurred_at__lt=periods.month_end(month, periods.zone(project.time_zone)))
    return deductions(project.pk, rows.order_by("-occurred_at", "event_id")[:RECENT])


def newest(project: Project) -> datetime | None:
    """When the newest deduction happened."""
    rows = CreditTransaction.objects.deductions().filter(project=project).order_by("-occurred_at", "event_id")
    return rows.values_list("occurred_at", flat=True).first()


def deductions(project: int, rows: LedgerQuerySet) -> list[Deduction]:
    """The ledger rows of the project with this id, with their agent type and run."""
    return _with_jobs(project, list(_columns(project, rows)))


def each_deduction(project: int, rows: LedgerQuerySet) -> Iterator[Deduction]:
    """`deductions` as a stream, for any number of rows."""
    found = _columns(project, rows).iterator(chunk_size=_CHUNK)
    while chunk := list(islice(found, _CHUNK)):
        yield from _with_jobs(project, chunk)


def with_other_senders(project: Project, rows: list[Deduction]) -> list[Deduction]:
    """The deductions of a product, each with everyone else who reported its call."""
    if not project.has_call_ids:
        return rows
    reports = CallReport.objects.filter(project=project)
    event_ids = [row.event_id for row in rows]
    event_id_of = dict(reports.filter(event_id__among=event_ids).values_list("call_pk", "event_id"))
    others: defaultdict[str, set[str]] = defaultdict(set)
    of_calls = reports.filter(call_pk__in=event_id_of).values_list("call_pk", "event_id", "sender")
    for call, event_id, sender in of_calls:
        if event_id != event_id_of[call]:
            others[event_id_of[call]].add(sender)
    return [replace(row, other_senders=tuple(sorted(others[row.event_id]))) for row in rows]


def ledger_rows(project: Project, month: date) -> Iterator[tuple[Any, ...]]:
    """Every transaction of a month in order of time, streamed for any number of rows."""
    rows = CreditTransaction.objects.filter(
        project=project, billed_on__range=(month, periods.last_day(month))
    )
    columns = rows.order_by("occurred_at", "event_id").values_list(
        *("event_id", "kind", "occurred_at", "billed_on", "job__run__run_id", "job__job_id"),
        *("job__agent_type__slug", "model", "input_tokens", "cache_read_tokens", "cache_write_tokens"),
        *("cache_write_1h_tokens", "output_tokens", "cost_source", "amount_nanos"),
    )
    return columns.iterator(chunk_size=_LEDGER_CHUNK)


def _columns(project: int, rows: LedgerQuerySet) -> Any:
    # Corrections are only looked up for rows without a price. Naming the project by id, not by a reference to
    # the outer row, lets a cluster ask a single machine.
    corrected_by = corrections().filter(project=project).values("amount_nanos")
    added_since = Case(When(cost_source=CostSource.UNPRICED, then=Subquery(corrected_by)))
    return rows.annotate(added_since=added_since).values_list(
        *("job_id", "event_id", "model"),
        *("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens"),
        *("amount_nanos", "added_since", "cost_source", "occurred_at", "adjusts_id"),
    )


def _with_jobs(project: int, rows: Sequence[tuple[Any, ...]]) -> list[Deduction]:
    # The jobs take a query of their own. Many rows share a job, and joining each row with its job, run and
    # agent type would take PostgreSQL longer than reading the rows.
    if not rows:
        return []
    jobs = AgentJob.objects.filter(project=project, pk__in={row[0] for row in rows}).values_list(
        *("pk", "run__run_id", "job_id", "agent_type__slug", "agent_type__label", "agent_type__color")
    )
    names = {pk: columns for pk, *columns in jobs}
    return [_deduction(names[job], row) for job, *row in rows]


def _deduction(job: Sequence[str], row: Sequence[Any]) -> Deduction:
    event_id, model, into, read, write, out, cost, added_since, source, at, adjusts = row
    event_id = sent_id(event_id) if adjusts else event_id
    unpriced = source == CostSource.UNPRICED and added_since is None
    paid = cost + (added_since or 0)
    return Deduction(*[event_id, *job, model, into + read + write, out, paid, unpriced, at])
