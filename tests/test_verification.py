"""`verify_ledger` reports every kind of damage that raw SQL can do, and a rebuild repairs the rollups."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import InternalError, connection, transaction

from billing import verification
from billing.models import CreditTransaction
from billing.rollups import rebuilding
from products.models import AgentJob, AgentType, PipelineRun, Project
from tests import citus
from tests.damage import guards_lifted, refused, sql
from tests.factories import ProjectFactory, event, send
from tests.stored import stored

LEDGER = "billing_credittransaction"
JOB, RUN = "products_agentjob", "products_pipelinerun"


def differences(project: Project) -> list[str]:
    with verification.snapshot():
        return list(verification.differences(project))


@pytest.fixture
def sound(project: Project, other_project: Project) -> Project:
    """Two projects with the same ids, and some of everything."""
    for each in (project, other_project):
        statuses = send(
            each,
            event(eventId="e1", jobId="job-1", agentType="testing", costDollars="5", inputTokens=10),
            event(eventId="e2", jobId="job-4", costDollars="3", occurredAt="2026-02-10T08:00:00Z"),
            event(eventId="e3", jobId="job-2", model="no-such-model", costDollars=None, outputTokens=7),
            event(eventId="e4", runId="run-2", jobId="job-1", agentType="research"),
            event(eventId="e5", kind="refund", jobId="job-2", costDollars="1"),
            event(eventId="e6", kind="purchase", costDollars="100"),
            event(eventId="e7", kind="grant", costDollars="7"),
            event(kind="job", jobId="job-3", jobStatus="failed"),
            event(kind="job", runId="run-2", jobId="job-2", jobStatus="cancelled", runStatus="succeeded"),
            event(kind="job", runId="run-3", jobId="job-1"),
        )
        assert statuses == ["recorded"] * 10
    return project


def test_a_sound_database_has_no_differences(sound: Project, other_project: Project) -> None:
    assert differences(sound) == differences(other_project) == []
    assert list(verification.missing_guards()) == []


def test_an_empty_project_has_no_differences(project: Project) -> None:
    assert differences(project) == []


def test_a_rebuild_of_sound_rollups_changes_nothing(sound: Project) -> None:
    before = stored(sound)
    rebuilding.rebuild(sound)
    assert stored(sound) == before


# Rollups

COUNTERS = {
    "billing_monthlyspend": [
        *("cost_nanos", "input_tokens", "output_tokens", "transactions", "unpriced"),
        *("succeeded_jobs", "failed_jobs", "cancelled_jobs", "failed_cost_nanos", "cancelled_cost_nanos"),
    ],
    "billing_monthtotal": ["cost_nanos", "input_tokens", "output_tokens", "transactions", "jobs"],
    "billing_dailyspend": ["cost_nanos", "input_tokens", "output_tokens", "transactions", "jobs"],
    "billing_dailyagentspend": ["cost_nanos", "input_tokens", "output_tokens", "transactions", "jobs"],
    "billing_unpricedusage": ["transactions", "input_tokens", "output_tokens"],
    "billing_runspend": ["cost_nanos", "input_tokens", "output_tokens", "transactions"],
    "billing_monthlycredits": ["purchased_nanos", "granted_nanos", "transactions"],
}
NAMES = {
    "billing_monthlyspend": "monthly spend",
    "billing_monthtotal": "month total",
    "billing_dailyspend": "daily spend",
    "billing_dailyagentspend": "daily agent spend",
    "billing_unpricedusage": "unpriced usage",
    "billing_runspend": "run spend",
    "billing_monthlycredits": "monthly credits",
}


def check_reported_and_repaired(
    project: Project, other: Project, before: Any, name: str, rows: int
) -> list[str]:
    found = differences(project)
    assert len(found) == rows
    assert all(line.startswith(name) for line in found)
    assert differences(other) == []
    rebuilding.rebuild(project)
    assert differences(project) == []
    assert stored(project) == before
    return found


@pytest.mark.parametrize(("table", "counter"), [(t, c) for t, counters in COUNTERS.items() for c in counters])
def test_a_changed_counter_is_reported_and_repaired(
    sound: Project, other_project: Project, table: str, counter: str
) -> None:
    before = stored(sound)
    rows = sql(f"UPDATE {table} SET {counter} = {counter} + 1 WHERE project_id = %s", sound.pk)
    assert rows > 0
    found = check_reported_and_repaired(sound, other_project, before, NAMES[table], rows)
    assert all("no row" not in line for line in found)


@pytest.mark.parametrize("table", COUNTERS)
def test_deleted_rows_are_reported_and_repaired(sound: Project, other_project: Project, table: str) -> None:
    before = stored(sound)
    rows = sql(f"DELETE FROM {table} WHERE project_id = %s", sound.pk)
    assert rows > 0
    found = check_reported_and_repaired(sound, other_project, before, NAMES[table], rows)
    assert all("stored no row" in line for line in found)


@pytest.mark.parametrize(("table", "key"), [(t, "day" if "daily" in t else "month") for t in COUNTERS])
def test_invented_rows_are_reported_and_repaired(
    sound: Project, other_project: Project, table: str, key: str
) -> None:
    before = stored(sound)
    columns = [column.name for column in _columns(table)]
    values = ["'1999-01-01'" if column == key else column for column in columns]
    known = "2026-03-17" if key == "day" else "2026-03-01"
    copied = f"SELECT {', '.join(values)} FROM {table} WHERE project_id = %s AND {key} = %s"
    rows = sql(f"INSERT INTO {table} ({', '.join(columns)}) {copied}", sound.pk, known)
    assert rows > 0
    found = check_reported_and_repaired(sound, other_project, before, NAMES[table], rows)
    assert all("1999-01-01" in line and "the ledger says no row" in line for line in found)


def _columns(table: str) -> Any:
    with connection.cursor() as cursor:
        return connection.introspection.get_table_description(cursor, table)


def test_a_difference_names_the_row_and_both_sums(sound: Project) -> None:
    sql("UPDATE billing_dailyspend SET jobs = 9 WHERE project_id = %s AND day = '2026-02-10'", sound.pk)
    assert differences(sound) == [
        "daily spend (2026-02-10): stored 3000000000 0 0 1 9, but the ledger says 3000000000 0 0 1 1"
    ]


# The ledger

SPEND = ["monthly spend", "month total", "daily spend", "daily agent spend", "run spend"]


def test_a_line_inserted_by_hand_shows_in_every_rollup(sound: Project) -> None:
    columns = [column.name for column in _columns(LEDGER) if column.name != "id"]
    values = ["'by hand'" if column == "event_id" else column for column in columns]
    into = f"INSERT INTO {LEDGER} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {LEDGER} "
    assert sql(into + "WHERE project_id = %s AND event_id = 'e1'", sound.pk) == 1
    assert [line.split(" (")[0] for line in differences(sound)] == SPEND
    rebuilding.rebuild(sound)
    assert differences(sound) == []


NO_DEDUCTION = "agent job job-1: has_deduction disagrees"
LEDGER_DAMAGE = {
    "an amount": ("UPDATE {ledger} SET amount_nanos = 0", SPEND),
    "tokens": ("UPDATE {ledger} SET input_tokens = 11", SPEND),
    "a kind": ("UPDATE {ledger} SET kind = 'refund', input_tokens = 0", [NO_DEDUCTION, *SPEND]),
    "a line": ("DELETE FROM {ledger}", [NO_DEDUCTION, *SPEND]),
    "a day": (
        "UPDATE {ledger} SET billed_on = '2026-03-18'",
        [
            "credit transaction e1: billed_on is 2026-03-18, but in UTC it is 2026-03-17",
            *("daily spend", "daily spend", "daily agent spend", "daily agent spend"),
        ],
    ),
    "a time": (
        "UPDATE {ledger} SET occurred_at = '2026-03-18 00:00:00+00:00'",
        ["credit transaction e1: billed_on is 2026-03-17, but in UTC it is 2026-03-18"],
    ),
}


@pytest.mark.parametrize("what", LEDGER_DAMAGE)
def test_a_changed_ledger_is_reported(sound: Project, what: str) -> None:
    statement, expected = LEDGER_DAMAGE[what]
    with guards_lifted():
        where = " WHERE project_id = %s AND event_id = 'e1'"
        assert sql(statement.format(ledger=LEDGER) + where, sound.pk) == 1
    found = differences(sound)
    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True))


# Runs and jobs


@pytest.mark.parametrize(
    ("table", "change", "where", "start"),
    [
        (RUN, "job_count = job_count + 1", "run_id = 'run-1'", "pipeline run run-1: counts "),
        (RUN, "running_jobs = 1", "run_id = 'run-1'", "pipeline run run-1: counts "),
        (
            RUN,
            "failed_jobs = 0",
            "run_id = 'run-1'",
            "pipeline run run-1: counts ",
        ),
        (
            RUN,
            "status = 'succeeded'",
            "run_id = 'run-1'",
            "pipeline run run-1: its status can't be succeeded",
        ),
        (RUN, "status = 'failed'", "run_id = 'run-2'", "pipeline run run-2: its status can't be failed"),
        (
            RUN,
            "status = 'cancelled'",
            "run_id = 'run-3'",
            "pipeline run run-3: its status can't be cancelled",
        ),
        (JOB, "finished_on = '2026-03-18'", "job_id = 'job-3'", "agent job job-3: finished_on is 2026-03-18"),
        (JOB, "has_deduction = true", "job_id = 'job-3'", "agent job job-3: has_deduction disagrees"),
        (JOB, "has_deduction = false", "has_deduction", "agent job job-"),
        (JOB, "status = 'succeeded'", "job_id = 'job-3'", "agent job job-3: its status can't be succeeded"),
    ],
)
def test_a_changed_run_or_job_is_reported(
    sound: Project, table: str, change: str, where: str, start: str
) -> None:
    rows = sql(f"UPDATE {table} SET {change} WHERE project_id = %s AND {where}", sound.pk)
    assert rows > 0
    named = [line for line in differences(sound) if line.startswith(start)]
    assert len(named) >= rows


def test_a_deleted_job_is_reported(sound: Project) -> None:
    with guards_lifted():
        assert sql(f"DELETE FROM {JOB} WHERE project_id = %s AND job_id = 'job-1'", sound.pk) == 3
    found = differences(sound)
    for event_id in ("e1", "e4"):
        assert f"credit transaction {event_id}: its job is missing or belongs to another product" in found
    assert any(line.startswith("pipeline run run-1: counts ") for line in found)


Move = Callable[[Project, Project], None]


def move_job(of: Project, to: Project) -> None:
    sql(f"UPDATE {JOB} SET project_id = %s WHERE project_id = %s AND job_id = 'job-3'", to.pk, of.pk)


def move_job_with_lines(of: Project, to: Project) -> None:
    sql(f"UPDATE {JOB} SET project_id = %s WHERE project_id = %s AND job_id = 'job-2'", to.pk, of.pk)


def move_to_other_run(of: Project, to: Project) -> None:
    run = PipelineRun.objects.get(project=to, run_id="run-3").pk
    sql(f"UPDATE {JOB} SET run_id = %s WHERE project_id = %s AND job_id = 'job-3'", run, of.pk)


def move_run(of: Project, to: Project) -> None:
    sql(
        f"UPDATE {RUN} SET project_id = %s, run_id = 'moved' WHERE project_id = %s AND run_id = 'run-2'",
        to.pk,
        of.pk,
    )


def move_lines(of: Project, to: Project) -> None:
    job = AgentJob.objects.filter(project=to).first()
    assert job is not None
    sql(f"UPDATE {LEDGER} SET job_id = %s WHERE project_id = %s AND event_id = 'e1'", job.pk, of.pk)


def move_agent_type(of: Project, to: Project) -> None:
    other = AgentType.objects.get(project=to, slug="testing").pk
    sql(f"UPDATE {JOB} SET agent_type_id = %s WHERE project_id = %s AND job_id = 'job-3'", other, of.pk)


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        (move_job, "agent job job-3: its run is missing or belongs to another product"),
        (move_job_with_lines, "credit transaction e3: its job is missing or belongs to another product"),
        (move_to_other_run, "agent job job-3: its run is missing or belongs to another product"),
        (move_run, "credit transaction e4: its job’s run is missing or belongs to another product"),
        (move_lines, "credit transaction e1: its job is missing or belongs to another product"),
        (move_agent_type, "agent job job-3: its agent type is missing or belongs to another product"),
    ],
)
def test_rows_moved_to_another_project_are_reported(
    sound: Project, other_project: Project, move: Move, expected: str
) -> None:
    if citus.in_use() and move in (move_job, move_job_with_lines, move_run):
        with refused("partition value"):  # a row stays on the machine of its project
            move(sound, other_project)
        return
    with guards_lifted():
        move(sound, other_project)
    assert expected in [*differences(sound), *differences(other_project)]


def test_days_are_those_of_the_projects_zone(owner: Any) -> None:
    project = ProjectFactory(owner=owner, time_zone="Pacific/Kiritimati")
    send(project, event(eventId="e1", jobId="job-1", occurredAt="2026-02-28T10:00:00Z"))
    assert differences(project) == []
    with guards_lifted():
        sql("UPDATE products_project SET time_zone = 'UTC' WHERE id = %s", project.pk)
    project.refresh_from_db()
    assert differences(project) == [
        "credit transaction e1: billed_on is 2026-03-01, but in UTC it is 2026-02-28",
        "agent job job-1: finished_on is 2026-03-01, but in UTC it is 2026-02-28",
    ]


# Guards and the snapshot


def test_missing_guards_are_reported(project: Project) -> None:
    with transaction.atomic():
        trigger = (connection.vendor == "postgresql" and f" ON {LEDGER}") or ""
        name = "billing_ledger_append_only" if trigger else "billing_ledger_delete"
        connection.check_constraints()
        sql(f"DROP TRIGGER {name}{trigger}")
        assert list(verification.missing_guards()) == [
            f"the trigger {name} is missing: the ledger can be changed"
        ]
        transaction.set_rollback(True)
    assert list(verification.missing_guards()) == []


@pytest.mark.django_db(transaction=True)
def test_a_snapshot_reads_one_state_and_writes_nothing() -> None:
    project = ProjectFactory()
    send(project, event())
    with verification.snapshot():
        assert list(verification.differences(project)) == []
    if connection.vendor == "postgresql":
        with pytest.raises(InternalError, match="read-only"), verification.snapshot():
            sql("DELETE FROM billing_dailyspend")
    assert CreditTransaction.objects.count() == 1
