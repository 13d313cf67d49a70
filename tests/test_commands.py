"""Management commands for scripts: output and errors."""

import io
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection

from billing.models import DailySpend
from products import tokens
from products.models import Project
from tests.factories import usage


def printed(*args: Any, **options: Any) -> str:
    out = io.StringIO()
    call_command(*args, stdout=out, **options)
    return out.getvalue()


def test_create_project_prints_the_id_and_nothing_else(owner):
    out = printed("create_project", "Harbour", owner="owner", time_zone="Europe/Berlin")
    project = Project.objects.get(name="Harbour")
    assert out == f"{project.pk}\n"
    assert (project.owner, project.time_zone) == (owner, "Europe/Berlin")
    assert project.agent_types.count() == 14


def test_create_project_creates_the_owner_only_on_request(db):
    with pytest.raises(CommandError, match="no user named 'ada'"):
        printed("create_project", "Harbour", owner="ada")
    printed("create_project", "Harbour", owner="ada", create_user=True)
    assert not get_user_model().objects.get(username="ada").has_usable_password()


@pytest.mark.parametrize(
    ("name", "zone", "reason"),
    [
        ("", "UTC", "blank"),
        ("x" * 201, "UTC", "200 characters"),
        ("Harbour", "Mars/Olympus", "not a time zone"),
    ],
)
def test_create_project_refuses_invalid_projects(db, name, zone, reason):
    with pytest.raises(CommandError, match=reason):
        printed("create_project", name, owner="ada", create_user=True, time_zone=zone)
    assert not Project.objects.exists()
    assert not get_user_model().objects.exists()


def test_create_token_prints_the_token_and_nothing_else(project, owner):
    out = printed("create_token", user="owner", project=project.pk, scope="ingest")
    token = tokens.find(out.removesuffix("\n"))
    assert token
    assert (token.user, token.project, token.scope) == (owner, project, "ingest")


def test_the_default_scope_of_a_token_is_read(owner):
    token = tokens.find(printed("create_token", user="owner").strip())
    assert token
    assert (token.scope, token.project) == ("read", None)


def test_create_token_refuses_tokens_the_user_may_not_have(project, viewer, stranger):
    with pytest.raises(CommandError, match="owner or a manager"):
        printed("create_token", user="viewer", project=project.pk, scope="ingest")
    with pytest.raises(CommandError, match="has no access"):
        printed("create_token", user="stranger", project=project.pk)
    with pytest.raises(CommandError, match="no product with ID 4711"):
        printed("create_token", user="viewer", project=4711)


def test_verify_ledger_reports_damage_and_rebuild_rollups_repairs_it(project):
    usage(project)
    assert "agree" in printed("verify_ledger")
    DailySpend.objects.filter(project=project).update(cost_nanos=1)
    out = io.StringIO()
    with pytest.raises(CommandError, match="Rows that differ: 1, in 1 product"):
        call_command("verify_ledger", stdout=out)
    assert f"product {project.pk}: daily spend (2026-03-17): stored 1 " in out.getvalue()
    printed("rebuild_rollups", project=project.pk)
    assert "agree" in printed("verify_ledger", project=project.pk)


def test_verify_ledger_reports_a_missing_trigger(project):
    name = "billing_ledger_append_only" if connection.vendor == "postgresql" else "billing_ledger_delete"
    table = " ON billing_credittransaction" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {name}{table}")
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("verify_ledger", stdout=out)
    assert f"the trigger {name} is missing" in out.getvalue()


@pytest.mark.parametrize("command", ["verify_ledger", "rebuild_rollups"])
def test_a_missing_product_is_an_error(db, command):
    with pytest.raises(CommandError, match="no product with ID 4711"):
        printed(command, project=4711)


def test_healthz_needs_no_authentication(client):
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")
