"""The demo shows every state, records its data as real senders do, and needs a database of its own."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import override_settings

from aicost import demo, queries
from billing import clock, verification
from billing.models import CreditTransaction
from products.models import AgentJob, Project
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db


def test_it_refuses_a_database_with_other_products(settings):
    settings.DEBUG = True
    ProjectFactory(name="Real work")
    with pytest.raises(CommandError, match="contains other products"):
        call_command("demo", no_serve=True)


def test_it_refuses_to_run_without_debug(settings):
    settings.DEBUG = False
    with pytest.raises(CommandError, match="DEBUG=true only"):
        call_command("demo", no_serve=True)


@pytest.fixture(scope="module")
def printed(django_db_setup, django_db_blocker):
    """What the command printed. Its thousands of rows are created once for all tests in this file."""
    out = io.StringIO()
    with django_db_blocker.unblock(), override_settings(DEBUG=True), transaction.atomic():
        call_command("demo", no_serve=True, port=8123, stdout=out)
        yield out.getvalue()
        transaction.set_rollback(True)


@pytest.fixture
def filled(printed, db):
    return printed


def test_it_prints_the_url_and_the_login(filled):
    assert filled.splitlines() == ["http://127.0.0.1:8123", "user demo, password demo"]


def test_its_products_are_in_every_state(filled):
    projects = list(Project.objects.all())
    budgets = [queries.month_summary(project).budget for project in projects]
    assert {budget.state for budget in budgets if budget} == {"green", "yellow", "red"}
    assert None in budgets
    assert any(project.first_usage_at is None for project in projects)
    assert {"refund", "purchase", "grant"} <= set(CreditTransaction.objects.values_list("kind", flat=True))
    assert AgentJob.objects.filter(status="failed").exists()
    assert CreditTransaction.objects.filter(cost_source="unpriced").exists()


def test_it_covers_the_last_seven_months_up_to_today(filled):
    busy = Project.objects.get(name=demo.PLANS[0].name)
    assert all(month.cost > 0 for month in queries.monthly_trend(busy))
    assert queries.daily_spend(busy, 7)[-1].cost > 0
    first = CreditTransaction.objects.filter(project=busy).earliest("occurred_at")
    months = clock.this_month(busy).month - first.billed_on.month
    assert months % 12 == 6


def test_a_single_run_dominates_the_cost(filled):
    first, second, *_ = queries.top_runs(Project.objects.get(name=demo.PLANS[0].name))
    assert first.run_id == "runaway-refactoring"
    assert first.cost > 3 * second.cost


def test_its_rollups_match_its_ledger(filled):
    for project in Project.objects.all():
        assert not list(verification.differences(project))
