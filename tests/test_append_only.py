"""The ledger is append-only: in Python, in the database, and through its parents."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.sql import emit_post_migrate_signal, emit_pre_migrate_signal
from django.db import connection
from django.db.migrations import Migration
from django.db.models import F, ProtectedError

from billing import verification
from billing.models import CreditTransaction, LedgerIsAppendOnly, UnpricedUsage
from billing.verification import differences
from products.models import AgentJob, AgentType, PipelineRun, Project
from tests.damage import refused, sql
from tests.factories import ProjectFactory, event, send, usage
from tests.stored import stored

LEDGER = "billing_credittransaction"


@pytest.fixture
def line(project: Project) -> CreditTransaction:
    return usage(project, eventId="e1", jobId="job-1", agentType="testing", costDollars="5")


# In Python


def fresh(line: CreditTransaction) -> CreditTransaction:
    values = {
        field.attname: getattr(line, field.attname) for field in CreditTransaction._meta.concrete_fields
    }
    return CreditTransaction(**{**values, "id": None, "event_id": "e2"})


rows = CreditTransaction.objects
WAYS: dict[str, Callable[[CreditTransaction], Any]] = {
    "save": lambda line: line.save(),
    "save a new one": lambda line: fresh(line).save(),
    "save_base": lambda line: line.save_base(),
    "asave": lambda line: line.asave(),
    "delete": lambda line: line.delete(),
    "adelete": lambda line: line.adelete(),
    "create": lambda line: rows.create(project=line.project, event_id="e2", kind="grant", amount_nanos=1),
    "acreate": lambda line: rows.acreate(project=line.project),
    "get_or_create": lambda line: rows.get_or_create(event_id="e2"),
    "update_or_create": lambda line: rows.update_or_create(event_id="e1", defaults={"amount_nanos": 1}),
    "bulk_create": lambda line: rows.bulk_create([fresh(line)]),
    "the base manager": lambda line: CreditTransaction._base_manager.bulk_create([fresh(line)]),
    "bulk_create over": lambda line: rows.bulk_create([line], ignore_conflicts=True),
    "bulk_update": lambda line: rows.bulk_update([line], ["amount_nanos"]),
    "update": lambda line: rows.update(amount_nanos=F("amount_nanos") + 1),
    "update some": lambda line: rows.filter(pk=line.pk).update(amount_nanos=1),
    "update none": lambda line: rows.none().update(amount_nanos=1),
    "aupdate": lambda line: rows.aupdate(amount_nanos=1),
    "delete all": lambda line: rows.all().delete(),
    "delete deductions": lambda line: rows.deductions().delete(),
    "_raw_delete": lambda line: rows.all()._raw_delete("default"),
    "through the project": lambda line: line.project.transactions.all().delete(),
    "create through the project": lambda line: line.project.transactions.create(event_id="e2"),
    "update through the job": lambda line: line.job.transactions.update(amount_nanos=1),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_orm_cannot_write_the_ledger(project: Project, line: CreditTransaction, way: str) -> None:
    before = stored(project)
    with pytest.raises(LedgerIsAppendOnly):
        WAYS[way](line)
    assert stored(project) == before


# In the database

COLUMNS = (
    *("project_id", "job_id", "event_id", "kind", "amount_nanos", "cost_source", "model"),
    *("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens"),
    *("occurred_at", "billed_on", "recorded_at"),
)


def copy(insert: str = "INSERT", **changes: str) -> str:
    """A statement that inserts a copy of each line, with some columns changed."""
    values = {**dict(zip(COLUMNS, COLUMNS, strict=True)), **changes}
    return f"{insert} INTO {LEDGER} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM {LEDGER}"


EVERYWHERE = [
    f"UPDATE {LEDGER} SET amount_nanos = 0",
    f"UPDATE {LEDGER} SET billed_on = '2026-01-01' WHERE event_id = 'e1'",
    f"UPDATE {LEDGER} SET event_id = 'e2'",
    f"DELETE FROM {LEDGER}",
    f"DELETE FROM {LEDGER} WHERE event_id = 'e1'",
    f"{copy()} WHERE true ON CONFLICT (project_id, event_id) DO UPDATE SET amount_nanos = 0",
]
FORBIDDEN = {
    "postgresql": [
        *EVERYWHERE,
        f"TRUNCATE {LEDGER}",
        f"TRUNCATE {LEDGER} RESTART IDENTITY CASCADE",
        "TRUNCATE products_agentjob CASCADE",
        "TRUNCATE products_project CASCADE",
        f"MERGE INTO {LEDGER} a USING {LEDGER} b ON a.id = b.id WHEN MATCHED THEN DELETE",
        f"WITH gone AS (DELETE FROM {LEDGER} RETURNING *) SELECT * FROM gone",
    ],
    "sqlite": [
        *EVERYWHERE,
        f"UPDATE OR REPLACE {LEDGER} SET amount_nanos = 0",
        copy("INSERT OR REPLACE"),
        copy("REPLACE", id="id", event_id="'e2'"),
        copy("REPLACE", id="id + 1000"),
    ],
}


def forbidden() -> list[str]:
    return FORBIDDEN[connection.vendor]


def test_no_statement_changes_or_removes_a_line(project: Project, line: CreditTransaction) -> None:
    before = stored(project)
    connection.check_constraints()  # otherwise PostgreSQL refuses TRUNCATE because of pending deferred checks
    for statement in forbidden():
        with refused("append-only"):
            sql(statement)
        assert stored(project) == before, statement


def test_a_line_inserted_by_hand_cannot_be_deleted(project: Project, line: CreditTransaction) -> None:
    assert sql(copy(event_id="'e2'")) == 1
    with refused("append-only"):
        sql(f"DELETE FROM {LEDGER} WHERE event_id = 'e2'")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"amount_nanos": "-1"}, "transaction_amount"),
        ({"amount_nanos": "1000000000000001"}, "transaction_amount"),
        ({"kind": "'gift'"}, "transaction_kind_and_job"),
        ({"kind": "'grant'"}, "transaction_kind_and_job"),
        ({"job_id": "NULL"}, "transaction_kind_and_job"),
        ({"cost_source": "'unpriced'"}, "transaction_cost_source"),
        ({"cost_source": "'guessed'"}, "transaction_cost_source"),
        ({"kind": "'refund'", "cost_source": "'computed'"}, "transaction_cost_source"),
        ({"input_tokens": "-1"}, "transaction_tokens"),
        ({"output_tokens": "1000000000001"}, "transaction_tokens"),
        ({"cache_write_1h_tokens": "1"}, "transaction_tokens"),
        ({"kind": "'refund'", "input_tokens": "1"}, "transaction_only_deductions_have_tokens"),
        ({"event_id": "''"}, "transaction_named"),
        ({"event_id": "'e1'"}, "(?i)unique"),
    ],
)
def test_the_database_refuses_invalid_lines(
    line: CreditTransaction, change: dict[str, str], rule: str
) -> None:
    with refused(rule):
        sql(copy(**{"event_id": "'e2'", **change}))


# Parents


def test_parents_of_the_ledger_are_protected(project: Project, line: CreditTransaction) -> None:
    job = AgentJob.objects.get(project=project)
    for parent in (job, job.run, job.agent_type, project, project.owner):
        with pytest.raises(ProtectedError):
            parent.delete()
    for parents in (AgentJob, PipelineRun, AgentType, Project, get_user_model()):
        with pytest.raises(ProtectedError):
            parents._default_manager.all().delete()


@pytest.mark.parametrize(
    "table", ["products_agentjob", "products_pipelinerun", "products_agenttype", "products_project"]
)
def test_the_database_refuses_to_delete_parents_of_the_ledger(line: CreditTransaction, table: str) -> None:
    with refused("(?i)foreign key"):
        sql(f"DELETE FROM {table}")


def test_the_database_refuses_to_delete_a_project_with_only_incoming_credits(project: Project) -> None:
    usage(project, kind="grant")
    with refused("(?i)foreign key"):
        sql("DELETE FROM products_project WHERE id = %s", project.pk)


def test_a_project_without_usage_can_be_deleted(project: Project) -> None:
    project.delete()
    assert not Project.objects.filter(pk=project.pk).exists()


# Everything of one project


@pytest.fixture
def foreign(other_project: Project) -> AgentJob:
    usage(other_project, jobId="job-1", agentType="testing")
    return AgentJob.objects.select_related("run", "agent_type").get(project=other_project)


def test_a_job_of_another_projects_run_is_refused(project: Project, foreign: AgentJob) -> None:
    own_type = AgentType.objects.get(project=project, slug="other")
    with refused("(?i)foreign key"):
        AgentJob.objects.create(
            project=project, run=foreign.run, agent_type=own_type, job_id="j", status="running"
        )


def test_a_job_of_another_projects_agent_type_is_refused(line: CreditTransaction, foreign: AgentJob) -> None:
    with refused("(?i)foreign key"):
        AgentJob.objects.filter(pk=line.job_id).update(agent_type=foreign.agent_type)


def test_a_line_on_another_projects_job_is_refused(line: CreditTransaction, foreign: AgentJob) -> None:
    with refused("(?i)foreign key"):
        sql(copy(event_id="'e2'", job_id=str(foreign.pk)) + f" WHERE project_id = {line.project_id}")


@pytest.mark.parametrize("table", ["products_agentjob", "products_pipelinerun", "products_agenttype"])
def test_no_parent_can_move_to_another_project(
    line: CreditTransaction, foreign: AgentJob, project: Project, table: str
) -> None:
    job = AgentJob.objects.get(pk=line.job_id)
    pk, renamed = {
        "products_agentjob": (job.pk, "job_id = 'moved'"),
        "products_pipelinerun": (job.run_id, "run_id = 'moved'"),
        "products_agenttype": (job.agent_type_id, "slug = 'moved'"),
    }[table]
    with refused("(?i)foreign key"):
        sql(f"UPDATE {table} SET {renamed}, project_id = %s WHERE id = %s", foreign.project_id, pk)


PARENTS = ["products_agentjob", "products_pipelinerun", "products_agenttype", "products_project"]


@pytest.mark.parametrize("table", PARENTS)
def test_no_parent_can_change_its_id(line: CreditTransaction, table: str) -> None:
    with refused("(?i)foreign key"):
        sql(f"UPDATE {table} SET id = id + 1000000")


# The billing zone


def test_the_billing_zone_is_fixed_once_there_is_usage(project: Project) -> None:
    assert sql("UPDATE products_project SET time_zone = 'Europe/Berlin'") >= 1
    usage(project)
    for change in ("time_zone = 'UTC'", "first_usage_at = NULL"):
        with refused("billing zone"):
            sql(f"UPDATE products_project SET {change} WHERE id = %s", project.pk)
    assert sql("UPDATE products_project SET name = 'Renamed' WHERE id = %s", project.pk) == 1


def test_saving_a_stale_project_cannot_reset_its_first_usage(project: Project) -> None:
    stale = Project.objects.get(pk=project.pk)
    usage(project)
    stale.name = "Renamed"
    with refused("billing zone"):
        stale.save()
    stale.save(update_fields=["name"])


# Migrations


def check_guards(project: Project, other: Project) -> None:
    """Both projects have a line `e1` on a job `job-1`."""
    check_guards_of_the_ledger()
    with refused("billing zone"):
        sql("UPDATE products_project SET time_zone = 'Europe/Berlin'")
    with refused("(?i)foreign key"):
        AgentJob.objects.filter(project=project).update(run=AgentJob.objects.get(project=other).run_id)
    with refused("(?i)foreign key"):
        sql("DELETE FROM products_agentjob")
    assert send(project, event(eventId="e1", jobId="job-1"), event(jobId="job-1")) == [
        "duplicate",
        "recorded",
    ]
    assert list(verification.missing_guards()) == []


def with_usage() -> tuple[Project, Project]:
    projects = ProjectFactory(), ProjectFactory()
    for project in projects:
        usage(project, eventId="e1", jobId="job-1")
    return projects


ALTERED = [
    (CreditTransaction, "model"),
    (AgentJob, "reported_status"),
    (PipelineRun, "reported_trigger"),
    (AgentType, "color"),
    (Project, "name"),
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("model", "field"), ALTERED)
def test_guards_survive_a_migration_that_alters_a_table(model: Any, field: str) -> None:
    """SQLite creates the table again for it, without its triggers."""
    projects = with_usage()
    before, after = model._meta.get_field(field), model._meta.get_field(field).clone()
    after.max_length = before.max_length + 1
    after.set_attributes_from_name(field)
    after.model = model
    plan = [(Migration("9999_alter", model._meta.app_label), False)]
    for old, new in ((before, after), (after, before)):
        emit_pre_migrate_signal(0, False, "default", plan=plan)
        with connection.schema_editor() as editor:
            editor.alter_field(model, old, new)
        emit_post_migrate_signal(0, False, "default", plan=plan)
    check_guards(*projects)


@pytest.mark.long
@pytest.mark.unspread
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("app", ["billing", "products"])
def test_guards_survive_migrating_backwards_and_forwards(app: str) -> None:
    projects = with_usage()
    # Backwards, with everything that depends on the app, and forwards again.
    for target in ((app, "0001"), ()):
        call_command("migrate", *target, verbosity=0)
        check_guards_of_the_ledger()
    check_guards(*projects)


@pytest.mark.long
@pytest.mark.unspread
@pytest.mark.django_db(transaction=True)
def test_migrations_fill_new_rollups_from_existing_usage() -> None:
    project, _ = with_usage()
    usage(project, costDollars=None, model="ours", inputTokens=7, jobStatus="failed")
    usage(project, costDollars="2", jobStatus="cancelled", agentType="testing")
    call_command("migrate", "billing", "0004", verbosity=0)
    call_command("migrate", verbosity=0)
    assert UnpricedUsage.objects.get(project=project).transactions == 1
    assert list(differences(project)) == []


def check_guards_of_the_ledger() -> None:
    for statement in forbidden():
        with refused("append-only"):
            sql(statement)


@pytest.mark.django_db(transaction=True)
def test_flush_in_tests_restores_the_guards() -> None:
    with_usage()
    call_command("flush", interactive=False, verbosity=0)
    assert not CreditTransaction.objects.exists()
    check_guards(*with_usage())
