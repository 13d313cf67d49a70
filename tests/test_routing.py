"""On a cluster every statement goes to one machine, except those declared here with a reason."""

import json
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from billing.budgets import limits
from billing.models.alerts import AlertSettings
from billing.prices.price_list import Rates
from products import tokens
from products.models import Project
from tests import every_url as every
from tests.calls import trpc
from tests.citus.plans import Planned, capture_plans
from tests.factories import fields, usage
from tests.test_authentication import OF_A_PRODUCT, OWNED

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock"), pytest.mark.citus]

FAN_OUTS = {
    "portfolio": "all products that a person can see",
    "portfolio-products": "the same",
    "export-portfolio": "the same",
    OWNED: "all products that a caller owns",
    "api": "an example with one of the reader's products",
    "tokens": "the names of the products that a person's tokens are limited to",
    "metrics": "the outbox of all products",
    "verify_ledger": "lists all products; each one is verified on its machine",
    "rebuild_rollups": "lists all products",
    "price_unpriced": "lists all products",
    "send_alerts": "all budgets and the outbox of all products",
}
"""Pages, procedures and commands that query several machines, and why."""


@pytest.fixture
def used(project: Project, owner: Any, stranger: Any, settings: Any) -> Project:
    """A product with at least one row of every kind."""
    cache.clear()
    settings.METRICS_TOKEN = "scrape"
    usage(project, runId="run-1", jobId="job-1", agentType="testing")
    usage(project, runId="run-1", jobId="job-2", agentType="security", model="unheard-of", costDollars=None)
    usage(project, kind="refund", runId="run-1", jobId="job-1", costDollars="0.25")
    usage(project, kind="purchase", costDollars="100")
    AlertSettings.objects.create(project=project, email_people=False, webhook_url="https://127.0.0.1/hook")
    limits.set_limit(project, Decimal(50), by=owner)
    tokens.issue(owner, project=project)
    project.refresh_from_db()
    return project


def check_routing(name: str, found: list[Planned]) -> None:
    """A fan-out must be declared, and what is declared must be one."""
    fan_outs = [planned.sql for planned in found if planned.tasks > 1]
    assert any(planned.tasks for planned in found) or name in every.OWN
    assert bool(fan_outs) == (name in FAN_OUTS), fan_outs


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def bearer(user: Any, scope: str, project: Project | None = None) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.issue(user, scope=scope, project=project)[1]}"}


@pytest.mark.parametrize("who", ["owner", "viewer", "superuser"])
@pytest.mark.parametrize("name", [*every.PAGES, *every.OF_MANAGERS, *every.OVERSIGHT])
def test_a_page_queries_one_machine(used: Project, request: Any, name: str, who: str) -> None:
    client, address = signed_in(request.getfixturevalue(who)), every.page_of(used.pk, name)
    with capture_plans() as found:
        response = client.get(address)
        assert not response.streaming or [*response.streaming_content]
    forbidden = who == "viewer" and name in {**every.OVERSIGHT, **every.OF_MANAGERS}
    assert response.status_code == (403 if forbidden else 200)
    check_routing(name, found)


@pytest.mark.parametrize("table", every.EXPORTS)
def test_an_export_queries_one_machine(used: Project, owner: Any, table: str) -> None:
    with capture_plans() as found:
        response = signed_in(owner).get(reverse("export", args=[used.pk, table, "csv"]))
        assert [*response]
    assert response.status_code == 200
    check_routing(table, found)


@pytest.mark.parametrize("name", every.CHANGES)
def test_a_change_queries_one_machine(used: Project, owner: Any, name: str) -> None:
    form, address, client = every.CHANGES[name], every.change_of(used, name), signed_in(owner)
    with capture_plans() as found:
        assert client.post(address, form.data, headers=form.headers).status_code == form.status
    check_routing(name, found)


@pytest.mark.parametrize("name", every.OWN)
def test_only_lists_of_products_query_several_machines(used: Project, owner: Any, name: str) -> None:
    client = signed_in(owner)
    with capture_plans() as found:
        assert client.get(reverse(name, args=every.OWN[name])).status_code == 200
    check_routing(name, found)


def test_metrics_query_several_machines(used: Project) -> None:
    with capture_plans() as found:
        assert Client().get("/metrics", headers={"Authorization": "Bearer scrape"}).status_code == 200
    check_routing("metrics", found)


@pytest.mark.parametrize("narrowed", [False, True])
@pytest.mark.parametrize("name", [*OF_A_PRODUCT, OWNED])
def test_a_procedure_queries_one_machine(used: Project, owner: Any, name: str, narrowed: bool) -> None:
    headers = bearer(owner, "write", used if narrowed else None)
    given = {} if name == OWNED else {"projectId": str(used.pk), **OF_A_PRODUCT[name]}
    with capture_plans() as found:
        assert trpc(Client(), name, given, **headers).status_code == 200
    # A token for one product lists that product alone.
    check_routing("" if narrowed else name, found)


JSON = {"content_type": "application/json"}
EVENTS = {
    "new runs and jobs": [fields(eventId=f"a{i}", runId=f"new-{i}", agentType=f"new-{i}") for i in range(3)],
    "known jobs": [fields(eventId=f"b{i}", jobId="job-1") for i in range(3)],
    "a job that moves to another agent type and fails": [
        fields(kind="job", jobId="job-1", agentType="release", jobStatus="failed")
    ],
    "usage that ends a reservation": [fields(eventId="c1", jobId="job-1", reservationId="held")],
    "the same again": [fields(eventId="d1"), fields(eventId="d1")],
    "a threshold crossed": [fields(eventId="e1", costDollars="49")],
}


@pytest.mark.parametrize("what", EVENTS)
def test_intake_queries_one_machine(used: Project, owner: Any, what: str) -> None:
    headers = bearer(owner, "ingest", used)
    with capture_plans() as found:
        response = Client().post("/api/v1/usage", json.dumps(EVENTS[what]), headers=headers, **JSON)
    assert response.status_code == 200, response.content
    check_routing(what, found)


COMMANDS: dict[str, dict[str, Any]] = {
    "verify_ledger": {},
    "rebuild_rollups": {},
    "price_unpriced": {"price": [("unheard-of", Rates(Decimal(1), Decimal(2)))]},
    "send_alerts": {},
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_queries_several_machines_only_for_its_list(
    used: Project, command: str, monkeypatch: Any
) -> None:
    # EXPLAIN runs on a second connection, which would wait for the locks of the first.
    monkeypatch.setattr("billing.rollups.rebuilding.lock_tables", lambda: None)
    with capture_plans() as found:
        call_command(command, **COMMANDS[command], stdout=StringIO())
    check_routing(command, found)
    if command not in ("send_alerts",):
        assert len([planned for planned in found if planned.tasks > 1]) == 1


@pytest.mark.parametrize("command", ["verify_ledger", "rebuild_rollups", "price_unpriced"])
def test_a_command_for_one_product_queries_one_machine(used: Project, command: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("billing.rollups.rebuilding.lock_tables", lambda: None)
    with capture_plans() as found:
        call_command(command, project=used.pk, **COMMANDS[command], stdout=StringIO())
    check_routing("", found)
