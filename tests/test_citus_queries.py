"""On a cluster Django's own statements name the project; without one they are Django's own."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, connection, models
from django.db.migrations.state import ModelState
from django.test.utils import CaptureQueriesContext

from billing.db.citus import queries
from billing.db.citus.queries import SameProjectKey
from billing.models import BillingSetting, CreditTransaction, RunSpend
from products.models import AgentJob, PipelineRun, Project
from tests.factories import MembershipFactory, usage

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def on_a_cluster() -> Iterator[None]:
    """Models as with DISTRIBUTED=true, on whichever database the tests run."""
    keys, found_by_id = queries.keys_within_a_project(), queries.models_found_by_id()
    rels = [key.remote_field for key in keys if not key.remote_field.hidden]
    descriptors = [(rel.model, rel.accessor_name, vars(rel.model)[rel.accessor_name]) for rel in rels]
    queries.activate()
    yield
    if settings.DISTRIBUTED:
        return
    for key in keys:
        key.__class__ = models.ForeignKey
    for model in found_by_id:
        del model._do_update, model.refresh_from_db
    for model, name, descriptor in descriptors:
        setattr(model, name, descriptor)


def test_models_whose_id_says_nothing_of_the_project_are_changed() -> None:
    assert {model.__name__ for model in queries.models_found_by_id()} == {
        *("AgentType", "Membership", "PipelineRun", "AgentJob", "CreditTransaction", "CallReport"),
        *("BillingSetting", "BudgetChange", "BudgetReservation", "PriceOverride"),
        *("BudgetAlert", "AlertDelivery"),
    }


def test_foreign_keys_between_rows_of_one_project_are_changed() -> None:
    assert {str(key) for key in queries.keys_within_a_project()} == {
        *("products.AgentJob.run", "products.AgentJob.agent_type"),
        *("billing.CreditTransaction.job", "billing.CreditTransaction.corrects"),
        *("billing.CreditTransaction.adjusts", "billing.CallId.report"),
        *("billing.CallReport.job", "billing.CallReport.booked_on"),
        *("billing.MonthlySpend.agent_type", "billing.DailyAgentSpend.agent_type", "billing.RunSpend.run"),
        "billing.AlertDelivery.alert",
    }


def test_models_without_a_cluster_are_plain() -> None:
    if settings.DISTRIBUTED:
        pytest.skip("this run is on a cluster")
    for model in queries.models_found_by_id():
        assert model._do_update is models.Model._do_update
        assert model.refresh_from_db is models.Model.refresh_from_db
    assert {type(key) for key in queries.keys_within_a_project()} == {models.ForeignKey}


# What is executed


@pytest.fixture
def job(on_a_cluster: None, project: Project) -> AgentJob:
    usage(project, runId="run-1", jobId="job-1", agentType="testing")
    return AgentJob.objects.get(project=project)


def statement(found: CaptureQueriesContext) -> str:
    """The only one, as plain text."""
    [query] = found.captured_queries
    return query["sql"].replace('"', "")


@pytest.mark.django_db
@pytest.mark.usefixtures("on_a_cluster")
@pytest.mark.parametrize("update_fields", [None, ["role"]])
def test_the_update_of_a_save_names_the_project(project: Project, update_fields: Any) -> None:
    membership = MembershipFactory(project=project)
    membership.role = "manager"
    with CaptureQueriesContext(connection) as found:
        membership.save(update_fields=update_fields)
    assert statement(found).startswith("UPDATE products_membership SET")
    assert f"WHERE (products_membership.project_id = {project.pk} AND" in statement(found)
    assert project.memberships.get(pk=membership.pk).role == "manager"


@pytest.mark.django_db
@pytest.mark.usefixtures("on_a_cluster")
def test_an_update_of_a_deleted_row_is_an_error(project: Project) -> None:
    row = BillingSetting.objects.create(project=project, key="a", value="1")
    BillingSetting.objects.filter(project=project).delete()
    with pytest.raises(DatabaseError, match="did not affect any rows"):
        row.save(update_fields=["value"])


@pytest.mark.django_db
def test_a_refresh_names_the_project(project: Project, job: AgentJob) -> None:
    with CaptureQueriesContext(connection) as found:
        job.refresh_from_db()
    assert f"WHERE (products_agentjob.project_id = {project.pk} AND" in statement(found)


@pytest.mark.django_db
def test_a_refresh_from_a_query_names_the_project(project: Project, job: AgentJob) -> None:
    with CaptureQueriesContext(connection) as found:
        job.refresh_from_db(fields=["status"], from_queryset=AgentJob.objects.exclude(job_id=""))
    assert f"products_agentjob.project_id = {project.pk} AND" in statement(found)
    assert "NOT (products_agentjob.job_id = " in statement(found)


@pytest.mark.django_db
def test_a_deferred_field_is_loaded_by_project(project: Project, job: AgentJob) -> None:
    row = AgentJob.objects.only("project").get(project=project)
    with CaptureQueriesContext(connection) as found:
        assert row.job_id == "job-1"
    assert f"WHERE (products_agentjob.project_id = {project.pk} AND" in statement(found)


@pytest.mark.django_db
def test_a_deferred_project_is_loaded_by_id(project: Project, job: AgentJob) -> None:
    row = AgentJob.objects.only("job_id").get(project=project)
    assert row.project_id == project.pk


@pytest.mark.django_db
def test_a_parent_is_looked_up_by_project(project: Project, job: AgentJob) -> None:
    with CaptureQueriesContext(connection) as found:
        assert job.run.run_id == "run-1"
    assert f"products_pipelinerun.project_id = {project.pk}" in statement(found)


@pytest.mark.django_db
def test_children_are_looked_up_by_project(project: Project, job: AgentJob) -> None:
    with CaptureQueriesContext(connection) as found:
        assert [*job.transactions.values_list("job__job_id")] == [("job-1",)]
    assert f"billing_credittransaction.project_id = {project.pk}" in statement(found)


JOINS: dict[str, Any] = {
    "to a parent": (AgentJob, {"run__run_id": "run-1"}, "products_pipelinerun", "products_agentjob"),
    "to children": (PipelineRun, {"jobs__job_id": "job-1"}, "products_pipelinerun", "products_agentjob"),
    "of a sum": (RunSpend, {"run__run_id": "run-1"}, "products_pipelinerun", "billing_runspend"),
    "to the job of a line": (
        CreditTransaction,
        {"job__job_id": "job-1"},
        "products_agentjob",
        "billing_credittransaction",
    ),
}


@pytest.mark.django_db
@pytest.mark.parametrize("what", JOINS)
def test_a_join_names_the_project(project: Project, job: AgentJob, what: str) -> None:
    model, condition, parent, child = JOINS[what]
    with CaptureQueriesContext(connection) as found:
        assert model.objects.filter(project=project, **condition).count() == 1
    assert f"AND ({parent}.project_id = ({child}.project_id))" in statement(found)


@pytest.mark.django_db
def test_rows_found_with_their_parents_are_joined_by_project(project: Project, job: AgentJob) -> None:
    with CaptureQueriesContext(connection) as found:
        row = AgentJob.objects.select_related("run", "agent_type").get(project=project)
        assert (row.run.run_id, row.agent_type.slug) == ("run-1", "testing")
    assert "AND (products_pipelinerun.project_id = (products_agentjob.project_id))" in statement(found)
    assert "AND (products_agenttype.project_id = (products_agentjob.project_id))" in statement(found)


def test_migrations_see_the_same_models(request: Any) -> None:
    plain = {model: ModelState.from_model(model) for model in apps.get_models()}
    request.getfixturevalue("on_a_cluster")
    assert {type(key) for key in queries.keys_within_a_project()} == {SameProjectKey}
    assert {model: ModelState.from_model(model) for model in apps.get_models()} == plain


# What is imported


def test_only_the_command_that_distributes_imports_it_at_the_top_of_a_module() -> None:
    package = ROOT / "billing/db/citus"
    found = {
        str(path.relative_to(ROOT))
        for floor in ("aicost", "billing", "products")
        for path in (ROOT / floor).rglob("*.py")
        if package not in path.parents
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom) and "citus" in ast.unparse(node)
    }
    assert found == {"billing/management/commands/distribute.py"}


USE_THE_PRODUCT = """
import io, sys
import django
django.setup()
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
call_command("migrate", verbosity=0)
from tests.factories import ProjectFactory, usage
project = ProjectFactory()
usage(project)
call_command("verify_ledger", stdout=io.StringIO())
client = Client()
client.force_login(project.owner)
assert client.get(reverse("ai-cost", args=[project.pk])).status_code == 200
print(*sorted(name for name in sys.modules if name.startswith("billing.db.citus")))
"""
WHAT_IS_IMPORTED = """
import sys
import django
django.setup()
print(*sorted(name for name in sys.modules if name.startswith("billing.db.citus")))
"""


def modules_for_a_cluster(program: str, **variables: str) -> list[str]:
    """What the program prints, in a process of its own with the product's settings, on SQLite."""
    environment = {
        **{name: value for name, value in os.environ.items() if name != "DISTRIBUTED"},
        "DJANGO_SETTINGS_MODULE": "aicost.settings",
        "DATABASE_URL": "sqlite://:memory:",
        "SECRET_KEY": "only-for-tests",
        "DEBUG": "true",
        "HTTPS": "false",
        "ALLOWED_HOSTS": "testserver",
        **variables,
    }
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.long
@pytest.mark.once
def test_without_a_cluster_nothing_for_one_is_imported() -> None:
    assert modules_for_a_cluster(USE_THE_PRODUCT) == []


@pytest.mark.once
def test_for_a_cluster_it_is_imported_from_the_start() -> None:
    assert "billing.db.citus.queries" in modules_for_a_cluster(WHAT_IS_IMPORTED, DISTRIBUTED="true")
