"""Verify that runs, jobs and rollups agree with the ledger, and report every row that does not."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, models, transaction
from django.db.models import Count, Exists, F, OuterRef, Q
from django.db.models.functions import TruncDate

from billing import periods
from billing.events.usage_event import Kind
from billing.models import CallReport, CostSource, CreditTransaction, MonthlySpend, RunSpend
from billing.rollups import rebuilding
from billing.rollups.definitions import expect_whole_tables
from billing.verification import calls
from products.models import SUPERSEDED, AgentJob, AgentType, PipelineRun, Project, Status


@contextmanager
def snapshot() -> Iterator[None]:
    """All reads inside see one state of the database, even while usage is being recorded."""
    inside = connection.in_atomic_block
    with transaction.atomic():
        if connection.vendor == "postgresql" and not inside:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def differences(project: Project) -> Iterator[str]:
    """A line of text for each wrong row of a project. Call it inside `snapshot()`."""
    expect_whole_tables()
    yield from _wrong_parents(project)
    yield from _wrong_days(project)
    yield from _wrong_corrections(project)
    yield from _wrong_reversals(project)
    yield from calls.differences(project)
    yield from _wrong_runs(project)
    yield from _wrong_jobs(project)
    for wrong in rebuilding.drift(project):
        key = ", ".join(map(str, wrong.key))
        yield f"{wrong.rollup} ({key}): stored {_text(wrong.stored)}, but the ledger says {_text(wrong.true)}"


def _text(sums: tuple[int, ...] | None) -> str:
    return "no row" if sums is None else " ".join(map(str, sums))


def _wrong_parents(project: Project) -> Iterator[str]:
    spending = CreditTransaction.objects.filter(kind__in=(Kind.DEDUCTION, Kind.REFUND))
    checks: tuple[tuple[models.QuerySet, str, type[models.Model], str], ...] = (
        (spending, "job", AgentJob, "event_id"),
        (spending, "job__run", PipelineRun, "event_id"),
        (AgentJob.objects.all(), "run", PipelineRun, "job_id"),
        (AgentJob.objects.all(), "agent_type", AgentType, "job_id"),
        (MonthlySpend.objects.all(), "agent_type", AgentType, "month"),
        (RunSpend.objects.all(), "run", PipelineRun, "month"),
    )
    for rows, parent, table, name in checks:
        # Not a join: it would find parents of the same project only.
        has_parent = Exists(table._default_manager.filter(project=project, pk=OuterRef(parent)))
        for key in rows.filter(~has_parent, project=project).values_list(name, flat=True).iterator():
            name_of_parent = parent.replace("__", "’s ").replace("_", " ")
            yield (
                f"{rows.model._meta.verbose_name} {key}: "
                f"its {name_of_parent} is missing or belongs to another product"
            )


def _wrong_days(project: Project) -> Iterator[str]:
    zone = periods.zone(project.time_zone)
    for rows, instant, day, name in (
        (CreditTransaction.objects.all(), "occurred_at", "billed_on", "event_id"),
        (AgentJob.objects.filter(finished_at__isnull=False), "finished_at", "finished_on", "job_id"),
    ):
        wrong = (
            rows.filter(project=project)
            .annotate(true_day=TruncDate(instant, tzinfo=zone))
            .exclude(**{day: F("true_day")})
        )
        for key, stored, true in wrong.values_list(name, day, "true_day").iterator():
            yield f"{rows.model._meta.verbose_name} {key}: {day} is {stored}, but in {zone.key} it is {true}"


def _wrong_corrections(project: Project) -> Iterator[str]:
    """Corrections whose original is not an unpriced deduction of the same job and instant."""
    original = CreditTransaction.objects.filter(
        project=project,
        pk=OuterRef("corrects"),
        cost_source=CostSource.UNPRICED,
        job=OuterRef("job"),
        occurred_at=OuterRef("occurred_at"),
        billed_on=OuterRef("billed_on"),
    )
    lines = CreditTransaction.objects.filter(project=project, corrects__isnull=False)
    for key in lines.exclude(Exists(original)).values_list("event_id", flat=True).iterator():
        yield f"credit transaction {key}: it corrects no unpriced deduction of its job and instant"


_TAKEN_BACK = (
    *("job", "occurred_at", "billed_on", "model", "amount_nanos"),
    *("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens"),
)


def _wrong_reversals(project: Project) -> Iterator[str]:
    """Reversals that do not take back exactly what a deduction booked."""
    same = {column: OuterRef(column) for column in _TAKEN_BACK}
    original = CreditTransaction.objects.filter(
        project=project, pk=OuterRef("adjusts"), kind=Kind.DEDUCTION, **same
    )
    lines = CreditTransaction.objects.filter(project=project, kind=Kind.REVERSAL)
    for key in lines.exclude(Exists(original)).values_list("event_id", flat=True).iterator():
        yield f"credit transaction {key}: it does not take back what a deduction booked"


def _wrong_runs(project: Project) -> Iterator[str]:
    """Runs whose job counters, or the status that follows from them, disagree with their jobs."""
    stored = PipelineRun.objects.filter(project=project).order_by("pk")
    counted = (
        AgentJob.objects.filter(~SUPERSEDED, project=project)
        .values("run_id")
        .annotate(
            job_count=Count("pk"),
            running_jobs=Count("pk", filter=Q(status=Status.RUNNING)),
            failed_jobs=Count("pk", filter=Q(status=Status.FAILED)),
        )
    )
    counters = ("job_count", "running_jobs", "failed_jobs")
    # Two parallel streams, because a join from runs to their jobs uses no index on SQLite.
    true = counted.order_by("run_id").values_list("run_id", *counters).iterator(chunk_size=10_000)
    now = next(true, None)
    for pk, run_id, *counts in stored.values_list("pk", "run_id", *counters).iterator(chunk_size=10_000):
        while now and now[0] < pk:
            now = next(true, None)
        found = list(now[1:]) if now and now[0] == pk else [0, 0, 0]
        if counts != found:
            said = f"counts (jobs, running, failed) are {counts}, but its jobs say {found}"
            yield f"pipeline run {run_id}: {said}"
    yield from _wrong_status(
        PipelineRun.objects.filter(project=project),
        "run_id",
        Q(reported_status="") & (Q(running_jobs__gt=0) & ~Q(status=Status.RUNNING))
        | Q(reported_status="", running_jobs=0, failed_jobs__gt=0) & ~Q(status=Status.FAILED)
        | Q(reported_status="", running_jobs=0, failed_jobs=0) & ~Q(status=Status.SUCCEEDED),
    )


def _wrong_jobs(project: Project) -> Iterator[str]:
    deductions = CreditTransaction.objects.deductions().filter(project=project, job=OuterRef("pk"))
    reports = CallReport.objects.filter(project=project, job=OuterRef("pk"))
    jobs = AgentJob.objects.filter(project=project)
    for job_id in jobs.exclude(has_deduction=Exists(deductions)).values_list("job_id", flat=True).iterator():
        yield f"agent job {job_id}: has_deduction disagrees with the ledger"
    for job_id in jobs.exclude(has_call_report=Exists(reports)).values_list("job_id", flat=True).iterator():
        yield f"agent job {job_id}: has_call_report disagrees with the reports of calls"
    has_usage = Q(has_deduction=True) | Q(has_call_report=True)
    yield from _wrong_status(
        jobs,
        "job_id",
        Q(has_usage, reported_status="") & ~Q(status=Status.SUCCEEDED)
        | Q(~has_usage, reported_status="") & ~Q(status=Status.RUNNING),
    )


def _wrong_status(rows: models.QuerySet, name: str, wrong_without_report: Q) -> Iterator[str]:
    wrong = rows.filter(wrong_without_report | ~Q(reported_status="") & ~Q(status=F("reported_status")))
    for key, status in wrong.values_list(name, "status").iterator():
        yield f"{rows.model._meta.verbose_name} {key}: its status can't be {status} by what was reported"
