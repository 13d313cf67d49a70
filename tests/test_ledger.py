"""The ledger writer: what it records and rejects, and that it records a batch wholly or not at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from billing import ledger
from billing.events.usage_event import Rejection
from billing.models import CreditTransaction, DailySpend, MonthlyCredits, MonthlySpend, RunSpend
from products import agent_types
from products.models import AgentJob, AgentType, PipelineRun, Project
from tests.conftest import NOW
from tests.factories import ProjectFactory, UserFactory, event, send, usage
from tests.stored import stored

DOLLAR = 10**9
MARCH, FEBRUARY = date(2026, 3, 1), date(2026, 2, 1)
LAST_MONTH = "2026-02-10T08:00:00Z"


def run_of(project: Project, run: str = "run-1") -> PipelineRun:
    return PipelineRun.objects.get(project=project, run_id=run)


def job_of(project: Project, job: str = "job-1", run: str = "run-1") -> AgentJob:
    return AgentJob.objects.get(project=project, run__run_id=run, job_id=job)


def by_agent_type(project: Project) -> dict[tuple[date, str], int]:
    """Dollars by month and agent type."""
    rows = MonthlySpend.objects.filter(project=project).values_list("month", "agent_type__slug", "cost_nanos")
    return {(month, slug): nanos // DOLLAR for month, slug, nanos in rows}


@contextmanager
def nothing_changes(project: Project) -> Iterator[None]:
    before = stored(project)
    yield
    assert stored(project) == before


# What is recorded


def test_a_deduction_is_one_line_of_the_ledger(project: Project, clock: Any) -> None:
    line = usage(
        project,
        eventId="e1",
        runId="r1",
        jobId="j1",
        agentType="testing",
        costDollars="1.50",
        model="gpt-4o",
        inputTokens=1,
        cacheReadTokens=20,
        cacheWriteTokens=300,
        cacheWrite1hTokens=200,
        outputTokens=4000,
        occurredAt="2026-03-01T00:30:00+02:00",
    )
    assert (line.kind, line.amount_nanos, line.cost_source) == ("deduction", 1_500_000_000, "reported")
    assert (line.model, line.input_tokens, line.cache_read_tokens) == ("gpt-4o", 1, 20)
    assert (line.cache_write_tokens, line.cache_write_1h_tokens, line.output_tokens) == (300, 200, 4000)
    assert (line.occurred_at, line.billed_on) == (
        datetime(2026, 2, 28, 22, 30, tzinfo=UTC),
        date(2026, 2, 28),
    )
    assert line.recorded_at == NOW
    assert line.job == job_of(project, "j1", "r1")
    assert line.job.agent_type.slug == "testing"
    row = MonthlySpend.objects.get(project=project)
    assert (row.month, row.agent_type.slug, row.succeeded_jobs) == (FEBRUARY, "testing", 1)
    assert (row.cost_nanos, row.input_tokens, row.output_tokens) == (1_500_000_000, 321, 4000)


def test_an_empty_batch_does_not_count_as_usage(project: Project) -> None:
    with nothing_changes(project):
        assert ledger.record(project, []) == []
    project.refresh_from_db()
    assert project.first_usage_at is None


def test_a_refund_reduces_spend_and_does_not_change_the_jobs_times(project: Project) -> None:
    usage(project, jobId="job-1", costDollars="5", agentType="testing", occurredAt=LAST_MONTH)
    before = job_of(project)
    usage(project, kind="refund", jobId="job-1", costDollars="7")
    after = job_of(project)
    assert by_agent_type(project) == {(FEBRUARY, "testing"): 5, (MARCH, "testing"): -7}
    assert (after.started_at, after.finished_at) == (before.started_at, before.finished_at)


def test_a_refund_of_an_unknown_job_creates_a_running_job(project: Project) -> None:
    usage(project, kind="refund", jobId="job-1", costDollars="2")
    job = job_of(project)
    assert (job.status, job.started_at, job.finished_at, job.agent_type.slug) == (
        "running",
        None,
        None,
        "other",
    )
    assert (run_of(project).status, run_of(project).job_count) == ("running", 1)
    assert by_agent_type(project) == {(MARCH, "other"): -2}


def test_incoming_credits_have_sums_of_their_own(project: Project) -> None:
    usage(project, kind="purchase", costDollars="100")
    usage(project, kind="grant", credits="250")
    usage(project, kind="grant", costDollars="1", occurredAt=LAST_MONTH)
    rows = MonthlyCredits.objects.filter(project=project).order_by("month")
    sums = [(row.month, row.purchased_nanos, row.granted_nanos, row.transactions) for row in rows]
    assert sums == [(FEBRUARY, 0, DOLLAR, 1), (MARCH, 100 * DOLLAR, 2_500_000_000, 2)]
    for spend in (MonthlySpend, DailySpend, RunSpend, PipelineRun):
        assert not spend._default_manager.filter(project=project).exists()


@pytest.mark.parametrize(
    ("zone", "at", "day"),
    [
        ("Pacific/Kiritimati", "2026-02-28T09:59:59.999999Z", date(2026, 2, 28)),
        ("Pacific/Kiritimati", "2026-02-28T10:00:00Z", date(2026, 3, 1)),
        ("Pacific/Pago_Pago", "2026-03-01T10:59:59.999999Z", date(2026, 2, 28)),
        ("Pacific/Pago_Pago", "2026-03-01T11:00:00Z", date(2026, 3, 1)),
        ("America/New_York", "2026-03-09T03:59:59.999999Z", date(2026, 3, 8)),
        ("UTC", "2024-02-29T23:59:59.999999Z", date(2024, 2, 29)),
    ],
)
def test_usage_counts_on_the_day_of_the_projects_zone(owner: Any, zone: str, at: str, day: date) -> None:
    project = ProjectFactory(owner=owner, time_zone=zone)
    line = usage(project, jobId="job-1", occurredAt=at)
    assert line.billed_on == job_of(project).finished_on == day
    assert [row.day for row in DailySpend.objects.filter(project=project)] == [day]
    assert [row.month for row in MonthlySpend.objects.filter(project=project)] == [day.replace(day=1)]


@pytest.mark.parametrize(
    "text", ["'\"\\", "\\N", "\\.", "{}", "NULL", "a,b\u2028", " é e\u0301 ", "%s %(x)s", "🧾\uffff"]
)
def test_unusual_text_is_stored_unchanged(project: Project, text: str) -> None:
    fields = {
        "eventId": text,
        "runId": text,
        "jobId": text,
        "model": text,
        "trigger": text,
        "agentType": text,
    }
    usage(project, **fields)
    assert send(project, event(**fields)) == ["duplicate"]
    job = AgentJob.objects.select_related("run", "agent_type").get(project=project)
    assert (job.job_id, job.run.run_id, job.run.trigger) == (text, text, text)
    assert job.agent_type.slug == text.strip()
    assert list(job.transactions.values_list("event_id", "model")) == [(text, text)]


def test_ids_that_differ_in_case_or_spaces_are_different(project: Project) -> None:
    ids = ["e", "E", " e", "e ", "é", "e\u0301"]
    assert send(project, *(event(eventId=name, runId=name) for name in ids)) == ["recorded"] * 6
    assert PipelineRun.objects.filter(project=project).count() == 6


@contextmanager
def counted() -> Iterator[list[str]]:
    statements: list[str] = []

    def count(execute: Callable, sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        yield statements


def test_the_number_of_statements_does_not_grow_with_the_batch(project: Project) -> None:
    def batch(name: str, size: int) -> list[Any]:
        return [event(eventId=f"{name}{n}", runId=f"{name}{n % 7}", jobId=f"j{n % 50}") for n in range(size)]

    usage(project)
    with counted() as few:
        # More than 30 rows, so that PostgreSQL gets all batches by COPY, which is not counted.
        send(project, *batch("a", 100))
    with counted() as many:
        assert set(send(project, *batch("b", 3000))) == {"recorded"}
    assert len(many) == len(few)
    assert CreditTransaction.objects.filter(project=project).count() == 1 + 100 + 3000


# Repeated ids


def test_a_duplicate_changes_no_row(project: Project) -> None:
    batch = [event(jobId="job-1", agentType="testing"), event(kind="job", jobId="job-2"), event(kind="grant")]
    send(project, *batch)
    with counted() as statements:
        assert send(project, *batch) == ["duplicate"] * 3
    assert [sql for sql in statements if sql.startswith(("UPDATE", "DELETE"))] == []


def test_the_same_event_again_is_a_duplicate(project: Project) -> None:
    first = event(eventId="e1", costDollars="1.00", inputTokens=5)
    assert send(project, first) == ["recorded"]
    with nothing_changes(project):
        assert send(project, first) == ["duplicate"]
        assert send(project, event(eventId="e1", costDollars=1, inputTokens=5, outputTokens=0)) == [
            "duplicate"
        ]


@pytest.mark.parametrize("kind", ["deduction", "refund", "purchase", "grant"])
def test_duplicates_of_every_kind_are_recognized(project: Project, kind: str) -> None:
    fields = {"kind": kind, "eventId": "e1", "costDollars": "3"}
    assert send(project, event(**fields), event(**fields)) == ["recorded", "duplicate"]
    assert send(project, event(**fields)) == ["duplicate"]


@pytest.mark.parametrize("model", [{"model": "gpt-4o"}, {"model": "no-such-model"}, {"model": None}])
def test_a_computed_cost_is_not_compared(project: Project, model: dict[str, Any]) -> None:
    fields = {"eventId": "e1", "costDollars": None, "inputTokens": 1000, **model}
    usage(project, **fields)
    assert send(project, event(**fields)) == ["duplicate"]


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("kind", "refund", "kind"),
        ("occurredAt", "2026-03-01T00:00:00.000001Z", "occurredAt"),
        ("runId", "Run-1", "runId"),
        ("jobId", "job-2", "jobId"),
        ("model", "gpt-4", "model"),
        ("inputTokens", 1, "inputTokens"),
        ("cacheReadTokens", 1, "cacheReadTokens"),
        ("cacheWriteTokens", 1, "cacheWriteTokens"),
        ("outputTokens", 1, "outputTokens"),
        ("costDollars", "1.000000001", "cost"),
        ("costDollars", None, "cost"),
    ],
)
def test_different_content_under_the_same_id_is_a_conflict(
    project: Project, field: str, value: Any, named: str
) -> None:
    fields = {"eventId": "e1", "occurredAt": "2026-03-01T00:00:00Z", "jobId": "job-1", "model": "gpt-4o"}
    usage(project, **fields)
    with nothing_changes(project):
        [outcome] = ledger.record(project, [event(**{**fields, field: value})])
    assert outcome.status == "conflict"
    assert outcome.event_id == "e1"
    assert outcome.reason.endswith(f"a different {named}")


def test_a_conflict_names_every_field_that_differs(project: Project) -> None:
    usage(project, eventId="e1", jobId="job-1")
    [outcome] = ledger.record(project, [event(eventId="e1", jobId="job-2", outputTokens=1)])
    assert outcome.reason.endswith("jobId, outputTokens")


def test_a_stated_cost_conflicts_with_an_equal_computed_one(project: Project) -> None:
    line = usage(project, eventId="e1", model="gpt-4o", inputTokens=1_000_000, costDollars=None)
    stated = event(
        eventId="e1", model="gpt-4o", inputTokens=1_000_000, credits=line.amount_nanos // 10_000_000
    )
    assert stated.stated_nanos == line.amount_nanos
    assert send(project, stated) == ["conflict"]


def test_of_two_events_with_one_id_in_a_batch_the_first_is_recorded(project: Project) -> None:
    first, again, other = event(eventId="e1"), event(eventId="e1"), event(eventId="e1", costDollars="2")
    assert send(project, first, other, again) == ["recorded", "conflict", "duplicate"]
    assert by_agent_type(project) == {(MARCH, "other"): 1}


def test_the_same_object_twice_in_a_batch_is_a_duplicate(project: Project) -> None:
    same = event()
    assert send(project, same, same) == ["recorded", "duplicate"]


def test_the_same_id_in_two_projects_is_two_events(project: Project, other_project: Project) -> None:
    for each, cost in ((project, "1"), (other_project, "2")):
        assert send(each, event(eventId="e1", costDollars=cost)) == ["recorded"]
    assert by_agent_type(project) == {(MARCH, "other"): 1}
    assert by_agent_type(other_project) == {(MARCH, "other"): 2}


def test_what_a_duplicate_reports_is_applied(project: Project) -> None:
    fields = {"eventId": "e1", "jobId": "job-1"}
    usage(project, **fields)
    more = event(**fields, jobStatus="failed", runStatus="cancelled", agentType="testing", trigger="push")
    assert send(project, more) == ["duplicate"]
    job, run = job_of(project), run_of(project)
    assert (job.status, job.agent_type.slug, run.status, run.trigger) == (
        "failed",
        "testing",
        "cancelled",
        "push",
    )
    row = MonthlySpend.objects.get(project=project)
    assert (row.agent_type.slug, row.succeeded_jobs, row.failed_jobs) == ("testing", 0, 1)


def test_what_a_conflict_reports_is_not_applied(project: Project) -> None:
    usage(project, eventId="e1", jobId="job-1")
    fields = {"jobStatus": "failed", "agentType": "testing", "trigger": "push", "runStartedAt": LAST_MONTH}
    with nothing_changes(project):
        assert send(project, event(eventId="e1", jobId="job-1", costDollars="2", **fields)) == ["conflict"]


# Rejections and atomic batches


def test_rejections_are_returned_in_their_position(project: Project) -> None:
    bad = Rejection(reason="must be text", field="runId", event_id="e2")
    first, second, third = ledger.record(project, [event(eventId="e1"), bad, event(eventId="e3")])
    assert (first.status, second.status, third.status) == ("recorded", "rejected", "recorded")
    assert (second.event_id, second.field, second.reason) == ("e2", "runId", "must be text")


def test_an_atomic_batch_with_a_rejection_records_nothing(project: Project) -> None:
    usage(project, eventId="known", costDollars="1")
    batch = [
        event(eventId="e1"),
        Rejection(reason="bad"),
        event(kind="job", jobId="job-9"),
        event(eventId="known", costDollars="1", jobStatus="failed"),
    ]
    with nothing_changes(project):
        assert send(project, *batch, atomic=True) == ["withheld", "rejected", "withheld", "withheld"]


def test_an_atomic_batch_with_a_conflict_records_nothing(project: Project) -> None:
    usage(project, eventId="known")
    with nothing_changes(project):
        batch = [event(eventId="e1"), event(eventId="known", costDollars="2")]
        assert send(project, *batch, atomic=True) == ["withheld", "conflict"]
    assert send(project, event(eventId="e1"), atomic=True) == ["recorded"]


def test_an_atomic_batch_may_contain_duplicates(project: Project) -> None:
    usage(project, eventId="known")
    assert send(project, event(eventId="known"), event(), atomic=True) == ["duplicate", "recorded"]


# Job events


def test_a_job_event_reports_but_records_no_transaction(project: Project) -> None:
    fields = {"kind": "job", "jobStatus": "failed", "agentType": "testing", "trigger": "schedule"}
    assert send(project, event(**fields)) == ["recorded"]
    job = job_of(project)
    assert (job.status, job.started_at, job.finished_at, job.finished_on) == ("failed", NOW, NOW, NOW.date())
    assert (run_of(project).status, run_of(project).trigger) == ("failed", "schedule")
    row = MonthlySpend.objects.get(project=project)
    assert (row.agent_type.slug, row.failed_jobs, row.cost_nanos, row.transactions) == ("testing", 1, 0, 0)
    assert not CreditTransaction.objects.exists()


@pytest.mark.parametrize("agent", [None, "other", "testing", " testing "])
@pytest.mark.parametrize("status", [None, "running", "succeeded"])
def test_a_repeated_report_is_a_duplicate(project: Project, agent: str | None, status: str | None) -> None:
    report = event(kind="job", agentType=agent, jobStatus=status, trigger="push", runStatus=status)
    assert send(project, report) == ["recorded"]
    with nothing_changes(project):
        assert send(project, report) == ["duplicate"]
        assert send(project, report, report) == ["duplicate", "duplicate"]


def test_a_report_repeated_in_a_batch_is_a_duplicate(project: Project) -> None:
    report = event(kind="job", agentType="other")
    assert send(project, report, report) == ["recorded", "duplicate"]


def test_a_report_that_a_deduction_made_already_is_a_duplicate(project: Project) -> None:
    usage(project, jobId="job-1", jobStatus="succeeded")
    assert send(project, event(kind="job", jobStatus="running")) == ["duplicate"]
    assert send(project, event(kind="job", jobStatus="failed")) == ["recorded"]


def test_a_job_events_id_is_not_stored(project: Project) -> None:
    assert send(project, event(kind="job", eventId="e1")) == ["recorded"]
    assert send(project, event(eventId="e1")) == ["recorded"]
    assert send(project, event(kind="job", eventId="e1", jobId="job-2")) == ["recorded"]


def test_a_running_job_is_counted_as_finished_nowhere(project: Project) -> None:
    send(project, event(kind="job"), event(kind="job", jobId="job-2", jobStatus="running"))
    assert (run_of(project).status, run_of(project).job_count, run_of(project).finished_at) == (
        "running",
        2,
        None,
    )
    assert not MonthlySpend.objects.exists()
    assert not DailySpend.objects.exists()


def test_a_run_without_a_reported_status_gets_it_from_its_jobs(project: Project) -> None:
    def report(job: str, status: str) -> str:
        send(project, event(kind="job", jobId=job, jobStatus=status))
        return run_of(project).status

    assert report("a", "succeeded") == "succeeded"
    assert report("b", "cancelled") == "succeeded"
    assert report("c", "running") == "running"
    assert report("d", "failed") == "running"
    assert report("c", "succeeded") == "failed"
    send(project, event(kind="job", jobId="a", runStatus="succeeded"))
    assert run_of(project).status == "succeeded"


# Jobs that change


def test_the_recorded_sums_of_a_job_move_to_its_new_agent_type(project: Project) -> None:
    fields = {"jobId": "job-1", "agentType": "testing"}
    usage(project, **fields, costDollars="5", inputTokens=10, outputTokens=3)
    usage(project, **fields, costDollars="3", occurredAt=LAST_MONTH)
    usage(project, **fields, kind="refund", costDollars="1")
    usage(project, **fields, costDollars=None, model="no-such-model", inputTokens=7)
    usage(project, agentType="testing", jobId="job-2", costDollars="100")
    before = list(DailySpend.objects.filter(project=project).order_by("day").values_list())

    assert send(project, event(kind="job", jobId="job-1", agentType="research")) == ["recorded"]

    assert by_agent_type(project) == {
        (FEBRUARY, "research"): 3,
        (MARCH, "research"): 4,
        (MARCH, "testing"): 100,
    }
    march = MonthlySpend.objects.get(project=project, month=MARCH, agent_type__slug="research")
    assert (march.input_tokens, march.output_tokens, march.transactions, march.unpriced) == (17, 3, 3, 1)
    assert march.succeeded_jobs == 1
    assert list(DailySpend.objects.filter(project=project).order_by("day").values_list()) == before


def test_a_job_can_move_in_a_batch_that_adds_spend_to_it(project: Project) -> None:
    usage(project, jobId="job-1", agentType="testing", costDollars="5")
    send(
        project,
        event(jobId="job-1", agentType="testing", costDollars="2"),
        event(jobId="job-1", agentType="research", costDollars="1"),
    )
    assert by_agent_type(project) == {(MARCH, "research"): 8}


def test_the_lesser_agent_type_by_code_point_wins(project: Project) -> None:
    for name in ("ünter", "Zed", "abc", "other", None):
        usage(project, jobId="job-1", agentType=name)
    assert job_of(project).agent_type.slug == "Zed"


def test_a_job_that_is_later_reported_as_failed_is_counted_on_the_new_day(project: Project) -> None:
    usage(project, jobId="job-1", agentType="testing", occurredAt=LAST_MONTH)
    later = event(kind="job", jobId="job-1", jobStatus="failed", jobFinishedAt="2026-03-02T00:00:00Z")
    assert send(project, later) == ["recorded"]
    february, march = MonthlySpend.objects.filter(project=project).order_by("month")
    assert (february.month, february.succeeded_jobs, february.failed_jobs) == (FEBRUARY, 0, 0)
    assert (march.month, march.succeeded_jobs, march.failed_jobs, march.cost_nanos) == (MARCH, 0, 1, 0)
    days = DailySpend.objects.filter(project=project).values_list("day", "jobs").order_by("day")
    assert list(days) == [(date(2026, 2, 10), 0), (date(2026, 3, 2), 1)]
    assert (run_of(project).status, run_of(project).failed_jobs) == ("failed", 1)


def test_rollup_rows_of_zeros_are_deleted(project: Project) -> None:
    send(project, event(kind="job", jobStatus="succeeded", agentType="testing", occurredAt=LAST_MONTH))
    send(project, event(kind="job", jobFinishedAt="2026-03-02T00:00:00Z", agentType="research"))
    assert [*by_agent_type(project)] == [(MARCH, "research")]
    assert [row.day for row in DailySpend.objects.filter(project=project)] == [date(2026, 3, 2)]


# Agent types


def fill_agent_types(project: Project, room: int) -> None:
    """Add agent types until only `room` more are allowed."""
    present = AgentType.objects.filter(project=project).count()
    AgentType.objects.bulk_create(
        AgentType(project=project, slug=f"type-{n:03}", label=f"Type {n}", color="blue")
        for n in range(agent_types.LIMIT - present - room)
    )


def test_a_new_agent_type_is_added(project: Project) -> None:
    usage(project, jobId="job-1", agentType=" Code_Review ")
    added = job_of(project).agent_type
    assert (added.slug, added.label, added.color) == (
        "Code_Review",
        *agent_types.label_and_color("Code_Review"),
    )


def test_names_that_trim_to_one_slug_are_one_agent_type(project: Project) -> None:
    send(project, event(agentType="x" * 100), event(agentType="x" * 150), event(agentType=" " + "x" * 101))
    assert AgentType.objects.filter(project=project, slug="x" * 100).count() == 1
    assert AgentType.objects.filter(project=project).count() == len(agent_types.KNOWN) + 1


def test_agent_types_over_the_limit_are_recorded_as_other(project: Project) -> None:
    fill_agent_types(project, room=1)
    batch = [event(agentType=name, jobId=f"job-{name}") for name in ("b", "a", "testing", "  c ")]
    replaced = [outcome.recorded_as_other for outcome in ledger.record(project, batch)]
    assert replaced == ["b", None, None, "  c "]
    assert by_agent_type(project) == {(MARCH, "a"): 1, (MARCH, "other"): 2, (MARCH, "testing"): 1}
    assert AgentType.objects.filter(project=project).count() == agent_types.LIMIT


def test_a_job_event_over_the_limit_says_so_once(project: Project) -> None:
    fill_agent_types(project, room=0)
    report = event(kind="job", agentType="new")
    [first], [again] = ledger.record(project, [report]), ledger.record(project, [report])
    assert (first.status, first.recorded_as_other) == ("recorded", "new")
    assert again.status == "duplicate"


def test_the_agent_type_other_is_created_again_if_it_was_deleted(project: Project) -> None:
    AgentType.objects.filter(project=project, slug="other").delete()
    usage(project)
    assert by_agent_type(project) == {(MARCH, "other"): 1}


def test_projects_do_not_share_agent_types(project: Project, other_project: Project) -> None:
    usage(project, agentType="mine")
    assert not AgentType.objects.filter(project=other_project, slug="mine").exists()


# Prices


def test_usage_without_a_known_price_is_unpriced_never_free(project: Project) -> None:
    batch = [
        event(eventId="e1", model="no-such-model", inputTokens=5, costDollars=None),
        event(eventId="e2", model=None, inputTokens=5, costDollars=None),
        event(eventId="e3", model="no-such-model", inputTokens=5, costDollars="0"),
    ]
    assert [outcome.unpriced_model for outcome in ledger.record(project, batch)] == [
        "no-such-model",
        "",
        None,
    ]
    sources = (
        CreditTransaction.objects.filter(project=project).order_by("event_id").values_list("cost_source")
    )
    assert [source for (source,) in sources] == ["unpriced", "unpriced", "reported"]
    assert MonthlySpend.objects.get(project=project).unpriced == 2


def test_a_cost_is_computed_from_the_models_price(project: Project) -> None:
    line = usage(project, model="gpt-4o", inputTokens=1_000_000, outputTokens=1_000_000, costDollars=None)
    assert (line.cost_source, line.amount_nanos) == ("computed", 12_500_000_000)


def test_only_an_event_whose_computed_cost_exceeds_a_million_dollars_is_rejected(project: Project) -> None:
    absurd = event(eventId="e1", model="gpt-4o", outputTokens=10**12, costDollars=None)
    refused, recorded = ledger.record(project, [absurd, event()])
    assert (refused.status, refused.event_id, recorded.status) == ("rejected", "e1", "recorded")
    assert "1,000,000" in refused.reason
    assert send(project, absurd, event(), atomic=True) == ["rejected", "withheld"]


# First usage and the billing zone


def test_the_first_usage_fixes_the_billing_zone(project: Project, clock: Any) -> None:
    project.time_zone = "Europe/Berlin"
    project.full_clean()
    project.save()
    usage(project)
    project.refresh_from_db()
    assert project.first_usage_at == NOW
    clock.shift(timedelta(hours=1))
    usage(project)
    project.refresh_from_db()
    assert project.first_usage_at == NOW
    project.time_zone = "UTC"
    with pytest.raises(ValidationError, match="fixed"):
        project.full_clean()


@pytest.mark.parametrize("fields", [{"kind": "job"}, {"kind": "grant"}])
def test_job_events_and_grants_count_as_usage(project: Project, fields: dict[str, Any]) -> None:
    send(project, event(**fields))
    project.refresh_from_db()
    assert project.first_usage_at is not None


def test_rejected_events_do_not_count_as_usage(project: Project) -> None:
    send(project, Rejection(reason="bad"))
    send(project, event(), Rejection(reason="bad"), atomic=True)
    project.refresh_from_db()
    assert project.first_usage_at is None


# Errors


def test_a_row_that_the_database_refuses_fails_its_batch(project: Project) -> None:
    """The error occurs in the middle of a COPY or `executemany`."""
    usage(project, jobId="job-1", agentType="testing")
    good = [event(eventId=f"a{n}", agentType="new", jobStatus="failed") for n in range(50)]
    bad = [_with_too_many_tokens(event(eventId=f"b{n}")) for n in range(2)]
    with nothing_changes(project), pytest.raises(DatabaseError):
        ledger.record(project, [*good, *bad])
    assert send(project, *good) == ["recorded"] * 50


def _with_too_many_tokens(usage_event: Any) -> Any:
    """An event that the parser would reject: both databases refuse its token count."""
    import msgspec

    return msgspec.structs.replace(
        usage_event, tokens=msgspec.structs.replace(usage_event.tokens, input=10**12 + 1)
    )


@pytest.mark.parametrize("table", ["billing_monthlyspend", "billing_dailyspend", "billing_runspend"])
def test_a_sum_out_of_range_fails_the_batch(project: Project, table: str) -> None:
    usage(project, jobId="job-1")
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET cost_nanos = 9000000000000000000")
    with nothing_changes(project), pytest.raises(IntegrityError):
        ledger.record(project, [event(jobId="job-1", costDollars="0.000000001")])
    assert send(project, event(kind="refund", costDollars="1")) == ["recorded"]


def test_a_batch_whose_sum_exceeds_64_bits_fails(project: Project) -> None:
    batch = [event(costDollars=1_000_000, jobId="job-1") for _ in range(9224)]
    with nothing_changes(project), pytest.raises((DatabaseError, OverflowError)):
        ledger.record(project, batch)


class Faults:
    """Counts the ledger writer's database operations, and makes one of them fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []
        self.fails_at: int | None = None
        commit, copy = BaseDatabaseWrapper._commit, psycopg.Cursor.copy
        monkeypatch.setattr(
            BaseDatabaseWrapper, "_commit", lambda wrapper: self.step("COMMIT") or commit(wrapper)
        )
        # COPY bypasses Django's cursor wrappers.
        monkeypatch.setattr(
            psycopg.Cursor, "copy", lambda cursor, sql, *args: self.step(sql) or copy(cursor, sql, *args)
        )

    def step(self, name: str) -> None:
        self.steps.append(name)
        if len(self.steps) - 1 == self.fails_at:
            raise OperationalError(f"injected before {name}")

    def __call__(self, execute: Callable, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.step(sql)
        return execute(sql, params, many, context)

    def record(self, project: Project, batch: list[Any], fails_at: int | None = None) -> list[str]:
        self.steps, self.fails_at = [], fails_at
        with connection.execute_wrapper(self):
            return send(project, *batch)


def history(project: Project) -> list[Any]:
    """Record some usage; return a batch that writes every table and makes every kind of change."""
    send(
        project,
        event(eventId="known", jobId="job-1", agentType="testing", costDollars="5", occurredAt=LAST_MONTH),
        event(kind="job", jobId="job-2", agentType="other"),
    )
    return [
        event(eventId="known", jobId="job-1", costDollars="5", occurredAt=LAST_MONTH, jobStatus="failed"),
        event(eventId="moved", jobId="job-1", agentType="brand new", costDollars="7"),
        event(eventId="new", runId="run-2", jobId="job-1", model="gpt-4o", inputTokens=9, costDollars=None),
        event(eventId="back", kind="refund", jobId="job-2", costDollars="1"),
        event(eventId="bought", kind="purchase", costDollars="50"),
        event(kind="job", jobId="job-2", jobStatus="cancelled", agentType="research"),
    ]


EXPECTED = ["duplicate", "recorded", "recorded", "recorded", "recorded", "recorded"]
WRITTEN = (
    *("products_agenttype", "products_pipelinerun", "products_agentjob", "billing_credittransaction"),
    *("billing_monthlyspend", "billing_dailyspend", "billing_runspend", "billing_monthlycredits"),
)


@pytest.mark.django_db(transaction=True)
def test_an_error_at_any_step_records_nothing_and_a_retry_records_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    owner = UserFactory()
    project, undisturbed = ProjectFactory(owner=owner), ProjectFactory(owner=owner)
    batch = history(project)
    before = stored(project)
    history(undisturbed)
    faults = Faults(monkeypatch)
    assert faults.record(undisturbed, batch) == EXPECTED
    steps = faults.steps
    assert steps[-1] == "COMMIT"
    for table in WRITTEN:
        assert any(f'"{table}"' in sql and not sql.startswith("SELECT") for sql in steps), table

    for position in range(len(steps)):
        with pytest.raises(OperationalError, match="injected"):
            faults.record(project, batch, fails_at=position)
        assert faults.steps == steps[: position + 1]
        assert stored(project) == before, steps[position]
    assert faults.record(project, batch) == EXPECTED
    assert stored(project) == stored(undisturbed)


@pytest.mark.django_db(transaction=True)
def test_a_retry_after_a_lost_response_records_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit succeeded, but the sender got an error."""
    project = ProjectFactory()
    batch = history(project)

    commit = BaseDatabaseWrapper._commit

    def commit_and_fail(wrapper: Any) -> None:
        commit(wrapper)
        raise OperationalError("the connection was lost")

    with monkeypatch.context() as patch:
        patch.setattr(BaseDatabaseWrapper, "_commit", commit_and_fail)
        with pytest.raises(OperationalError, match="was lost"):
            send(project, *batch)
    with nothing_changes(project):
        assert send(project, *batch) == ["duplicate"] * len(batch)
