"""Budget policies: who changes them, their history, and what the pages say about reservations."""

import re
from datetime import date, timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from billing.budgets import checks, limits, policies
from billing.models import BillingSetting, BudgetChange
from products.models import Project
from tests.conftest import NOW
from tests.factories import usage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

DOLLAR = 10**9


@pytest.fixture
def page_of(project: Project) -> Any:
    """The text of a page of the project."""

    def read(person: Any, name: str = "budget", query: str = "") -> str:
        client = Client()
        client.force_login(person)
        response = client.get(reverse(name, args=[project.pk]) + query)
        assert response.status_code == 200
        return unescape(response.content.decode())

    return read


def choose(person: Any, project: Project, policy: str = "warn", **more: Any) -> Any:
    client = Client(**more)
    client.force_login(person)
    return client.post(reverse("budget-policy", args=[project.pk]), {"policy": policy}, follow=True)


# ---- The setting


def test_a_limit_binds_until_somebody_chooses_only_to_be_warned(project: Project) -> None:
    assert policies.policy_of(project) == "deny"
    policies.set_policy(project, "warn", by=project.owner)
    assert policies.policy_of(project) == "warn"
    setting = BillingSetting.objects.get(project=project)
    assert (setting.key, setting.value) == ("ai_budget_policy", "warn")


@pytest.mark.parametrize("written", ["", "WARN", "off", "warn "])
def test_a_setting_that_is_not_a_policy_denies(project: Project, written: str) -> None:
    BillingSetting.objects.create(project=project, key=policies.KEY, value=written)
    assert policies.policy_of(project) == checks.check(project).budget.policy == "deny"


def test_the_history_says_who_changed_it_and_leaves_the_limit(project: Project, manager: Any) -> None:
    limits.set_limit(project, Decimal(100), by=project.owner)
    policies.set_policy(project, "warn", by=manager)
    assert policies.set_policy(project, "warn", by=project.owner) is None
    change = BudgetChange.objects.first()
    assert change
    assert (change.changed_by, change.changed_at, change.policy) == (manager, NOW, "warn")
    assert change.old_limit_nanos == change.new_limit_nanos == 100 * DOLLAR
    assert BudgetChange.objects.count() == 2


def test_past_months_keep_their_limit_when_the_policy_changes(project: Project, clock: Any) -> None:
    limits.set_limit(project, Decimal(100), by=project.owner)
    policies.set_policy(project, "warn", by=project.owner)
    clock.shift(timedelta(days=40))
    limits.set_limit(project, Decimal(7), by=project.owner)
    assert limits.limit_of(project, date(2026, 3, 1)) == 100 * DOLLAR


def test_without_a_limit_the_history_of_limits_has_none(project: Project) -> None:
    policies.set_policy(project, "warn", by=project.owner)
    assert limits.limits_now([project]) == {}
    assert limits.limit_of(project, date(2026, 3, 1)) is None


# ---- The form


@pytest.mark.parametrize("person", ["owner", "manager"])
def test_owner_and_manager_choose_the_policy(
    project: Project, request: pytest.FixtureRequest, person: str
) -> None:
    page = unescape(choose(request.getfixturevalue(person), project).content.decode())
    assert policies.policy_of(project) == "warn"
    assert "Callers who ask before spending now only get a warning." in page
    assert "Policy: deny" in page
    assert person in page
    radio = re.search(r'<input [^>]*value="warn"[^>]*>', page)
    assert radio
    assert "checked" in radio[0]


def test_choosing_the_current_policy_changes_nothing(project: Project, owner: Any) -> None:
    assert "this is already the policy" in choose(owner, project, "deny").content.decode()
    assert not BudgetChange.objects.exists()


def test_the_policy_can_be_set_back_to_denying(project: Project, owner: Any) -> None:
    choose(owner, project)
    assert "now refused" in choose(owner, project, "deny").content.decode()
    assert policies.policy_of(project) == "deny"


@pytest.mark.parametrize("typed", ["", "allow", "DENY", "<b>", "x" * 10_000])
def test_an_unknown_policy_is_refused(project: Project, owner: Any, typed: str) -> None:
    response = choose(owner, project, typed)
    assert response.status_code == 422
    assert 'class="error"' in response.content.decode()
    assert not BillingSetting.objects.exists()


def test_viewers_and_superusers_read_the_policy_but_change_nothing(
    project: Project, viewer: Any, superuser: Any, page_of: Any
) -> None:
    for person in (viewer, superuser):
        page = page_of(person)
        assert "Policy: <b>deny</b>" in page
        assert 'name="policy"' not in page
        assert choose(person, project).status_code == 403
    assert policies.policy_of(project) == "deny"


def test_strangers_find_no_form(project: Project, stranger: Any, staff: Any, client: Client) -> None:
    for person in (stranger, staff):
        assert choose(person, project).status_code == 404
    address = reverse("budget-policy", args=[project.pk])
    assert client.post(address, {"policy": "warn"})["Location"].startswith(reverse("sign-in"))
    assert policies.policy_of(project) == "deny"


def test_the_form_is_sent_by_post_with_its_csrf_token(project: Project, owner: Any) -> None:
    assert choose(owner, project, enforce_csrf_checks=True).status_code == 403
    client = Client()
    client.force_login(owner)
    assert client.get(reverse("budget-policy", args=[project.pk])).status_code == 405
    assert policies.policy_of(project) == "deny"


# ---- What the pages say


@pytest.mark.parametrize("limited", [True, False])
def test_the_budget_page_says_what_is_reserved(
    project: Project, owner: Any, clock: Any, page_of: Any, limited: bool
) -> None:
    if limited:
        limits.set_limit(project, Decimal(100), by=owner)
    assert "reserved by" not in page_of(owner)
    checks.reserve(project, 2 * DOLLAR, by=owner)
    text = '$2.00 reserved by 1 reservation, which ends at <time datetime="2026-03-17T12:15:00Z">'
    assert text in page_of(owner)
    clock.shift(timedelta(minutes=5))
    checks.reserve(project, 10 * DOLLAR, by=owner)
    two = (
        '$12.00 reserved by 2 reservations, the last of which ends at <time datetime="2026-03-17T12:20:00Z">'
    )
    assert two in page_of(owner)
    clock.shift(timedelta(minutes=15))
    assert "reserved by" not in page_of(owner)


def test_the_dashboard_says_it_beside_the_bar_of_the_current_month(
    project: Project, owner: Any, page_of: Any
) -> None:
    limits.set_limit(project, Decimal(100), by=owner, at=NOW - timedelta(days=60))
    usage(project)
    checks.reserve(project, 2 * DOLLAR, by=owner)
    for name in ("ai-cost", "ai-cost-month"):
        assert "$2.00 reserved by 1 reservation" in page_of(owner, name)
        past = page_of(owner, name, "?month=2026-02")
        assert 'aria-label="Budget"' in past
        assert "reserved by" not in past


def test_the_end_is_given_in_the_billing_time_zone(project: Project, owner: Any, page_of: Any) -> None:
    Project.objects.filter(pk=project.pk).update(time_zone="Asia/Tokyo")
    checks.reserve(project, DOLLAR, by=owner)
    assert "21:15" in page_of(owner)
