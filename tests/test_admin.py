"""Django admin: budgets change through their functions, tokens show once, the ledger is read-only."""

import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from billing.alerts import channels
from billing.budgets import checks, limits, policies
from billing.models import BillingSetting, BudgetChange, BudgetReservation, CreditTransaction, PriceOverride
from billing.models.alerts import AlertDelivery, BudgetAlert
from products import tokens
from products.models import AgentJob, AgentType, ApiToken, Membership, PipelineRun, Project
from tests.factories import usage

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def admin(client, superuser):
    client.force_login(superuser)
    return client


def address(model: Any, page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_{page}", args=args)


EVERY_MODEL = [
    *(Project, AgentType, ApiToken, PipelineRun, AgentJob),
    *(BillingSetting, BudgetChange, BudgetReservation, CreditTransaction, PriceOverride),
    *(BudgetAlert, AlertDelivery),
]
READ_ONLY = [
    *(CreditTransaction, PipelineRun, AgentJob, BudgetChange, BudgetReservation),
    *(BudgetAlert, AlertDelivery),
]
WEBHOOK = "https://hooks.example.com/services/secret-part"


@pytest.fixture
def full(project, owner, django_capture_on_commit_callbacks):
    """A row of every kind that the admin shows, such as an alert and its message."""
    settings = {"thresholds": [80], "email_people": False, "email_more": [], "webhook_url": WEBHOOK}
    channels.change(project, **settings)
    checks.reserve(project, 10**9, by=owner)
    with django_capture_on_commit_callbacks(execute=True):
        limits.set_limit(project, Decimal(1), by=owner)
        usage(project)
    return project


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_every_list_and_form_opens(admin, full, owner, model):
    tokens.issue(owner)
    PriceOverride.objects.create(
        project=full, model="ours", starts_on=date(2026, 1, 1), input_rate=1, output_rate=2
    )
    assert admin.get(address(model, "changelist"), {"q": "x"}).status_code == 200
    assert admin.get(address(model, "change", model._default_manager.first().pk)).status_code == 200


@pytest.mark.parametrize("model", READ_ONLY)
def test_the_ledger_and_what_follows_from_it_are_read_only(admin, full, model):
    pk = model._default_manager.get().pk
    before = model._default_manager.values().get()
    assert admin.get(address(model, "add")).status_code == 403
    assert (
        admin.post(address(model, "change", pk), {"status": "failed", "amount_nanos": 1}).status_code == 403
    )
    assert admin.post(address(model, "delete", pk), {"post": "yes"}).status_code == 403
    selected = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
    admin.post(address(model, "changelist"), selected)
    assert model._default_manager.values().get() == before


def test_the_admin_shows_only_the_host_of_a_webhook(admin, full):
    delivery = AlertDelivery.objects.get()
    for page, args in (("changelist", []), ("change", [delivery.pk])):
        content = admin.get(address(AlertDelivery, page, *args)).content.decode()
        assert "hooks.example.com" in content
        assert "secret-part" not in content


def test_a_limit_is_set_changed_and_cleared_with_its_history(admin, project, superuser):
    add = {"project": project.pk, "limit": "250.00", "note": "first"}
    assert admin.post(address(BillingSetting, "add"), add).status_code == 302
    setting = BillingSetting.objects.get()
    assert (setting.key, setting.value) == (limits.KEY, "250")
    assert admin.post(address(BillingSetting, "change", setting.pk), {"limit": "99.5"}).status_code == 302
    assert BillingSetting.objects.get().value == "99.5"
    admin.post(address(BillingSetting, "delete", setting.pk), {"post": "yes"})
    assert not BillingSetting.objects.exists()
    history = BudgetChange.objects.order_by("pk").values_list(
        "old_limit_nanos", "new_limit_nanos", "changed_by"
    )
    assert list(history) == [
        (None, 250 * 10**9, superuser.pk),
        (250 * 10**9, 995 * 10**8, superuser.pk),
        (995 * 10**8, None, superuser.pk),
    ]


def test_deleting_selected_limits_keeps_their_history(admin, project, owner):
    limits.set_limit(project, Decimal(100), by=owner)
    setting = BillingSetting.objects.get()
    selected = {"action": "delete_selected", "_selected_action": [setting.pk], "post": "yes"}
    admin.post(address(BillingSetting, "changelist"), selected)
    assert not BillingSetting.objects.exists()
    assert BudgetChange.objects.first().new_limit_nanos is None


def test_adding_a_second_limit_changes_the_first(admin, project, owner):
    limits.set_limit(project, Decimal(100), by=owner)
    admin.post(address(BillingSetting, "add"), {"project": project.pk, "limit": "200"})
    assert BillingSetting.objects.get().value == "200"


@pytest.mark.parametrize("wrong", ["0", "-1", "NaN", "0.001", "1000000001", "", "ten"])
def test_an_invalid_limit_is_refused_and_nothing_stored(admin, project, wrong):
    response = admin.post(address(BillingSetting, "add"), {"project": project.pk, "limit": wrong})
    assert response.status_code == 200
    assert "limit" in response.context["adminform"].form.errors
    assert not BillingSetting.objects.exists()
    assert not BudgetChange.objects.exists()


def test_the_policy_is_set_with_the_limit_and_kept_if_none_is_chosen(admin, project, superuser):
    admin.post(address(BillingSetting, "add"), {"project": project.pk, "limit": "250", "policy": "warn"})
    assert policies.policy_of(project) == "warn"
    assert BudgetChange.objects.values_list("changed_by", "policy").first() == (superuser.pk, "warn")
    setting = BillingSetting.objects.get(key=limits.KEY)
    page = admin.get(address(BillingSetting, "change", setting.pk)).content.decode()
    assert '<option value="warn" selected>' in page
    admin.post(address(BillingSetting, "change", setting.pk), {"limit": "99", "policy": ""})
    assert policies.policy_of(project) == "warn"


def test_other_settings_are_not_shown_as_limits(admin, project):
    other = BillingSetting.objects.create(project=project, key="else", value="1")
    assert admin.get(address(BillingSetting, "change", other.pk)).status_code == 302


def test_a_token_is_shown_once(admin, project, owner):
    form = {"user": owner.pk, "project": project.pk, "scope": "ingest", "name": "CI"}
    response = admin.post(address(ApiToken, "add"), form, follow=True)
    [text] = re.findall(r"aicost_[\w-]{43}", response.content.decode())
    token = tokens.find(text)
    assert (token.user, token.project, token.scope, token.name) == (owner, project, "ingest", "CI")
    again = admin.get(address(ApiToken, "change", token.pk)).content.decode()
    assert text not in again
    assert token.token_hash not in again


def test_a_token_that_its_user_is_not_allowed_is_refused(admin, project, viewer):
    form = {"user": viewer.pk, "project": project.pk, "scope": "ingest"}
    response = admin.post(address(ApiToken, "add"), form)
    assert b"Only the owner or a manager" in response.content
    assert not ApiToken.objects.exists()


def test_tokens_can_be_revoked_but_not_deleted(admin, owner):
    token, text = tokens.issue(owner)
    admin.post(address(ApiToken, "changelist"), {"action": "revoke", "_selected_action": [token.pk]})
    assert tokens.find(text) is None
    assert admin.post(address(ApiToken, "delete", token.pk), {"post": "yes"}).status_code == 403


def test_a_product_with_usage_can_be_archived_but_not_deleted(admin, project):
    usage(project)
    assert admin.post(address(Project, "delete", project.pk), {"post": "yes"}).status_code == 403
    admin.post(address(Project, "changelist"), {"action": "archive", "_selected_action": [project.pk]})
    project.refresh_from_db()
    assert project.archived_at
    admin.post(
        address(Project, "changelist"),
        {"action": "restore", "_selected_action": [project.pk]},
    )
    project.refresh_from_db()
    assert project.archived_at is None


def test_a_person_whose_product_has_usage_cannot_be_deleted(admin, project, owner):
    usage(project)
    admin.post(reverse("admin:auth_user_delete", args=[owner.pk]), {"post": "yes"})
    owner.refresh_from_db()
    assert Project.objects.get(pk=project.pk).owner == owner


def test_the_billing_zone_is_read_only_after_the_first_usage(admin, project):
    page = address(Project, "change", project.pk)
    assert b'name="time_zone"' in admin.get(page).content
    usage(project)
    assert b'name="time_zone"' not in admin.get(page).content


def test_a_product_and_its_members_are_created(admin, owner, viewer):
    form = {
        "name": "Harbour",
        "owner": owner.pk,
        "time_zone": "Europe/Berlin",
        "memberships-TOTAL_FORMS": 1,
        "memberships-INITIAL_FORMS": 0,
        "memberships-0-user": viewer.pk,
        "memberships-0-role": "viewer",
    }
    assert admin.post(address(Project, "add"), form).status_code == 302
    project = Project.objects.get(name="Harbour")
    assert Membership.objects.get(project=project).user == viewer
    assert project.agent_types.count() == 14


def test_a_label_and_colour_can_be_used_everywhere(admin, project, other_project):
    mine = AgentType.objects.get(project=project, slug="testing")
    AgentType.objects.filter(pk=mine.pk).update(label="QA", color="plum")
    admin.post(
        address(AgentType, "changelist"), {"action": "apply_to_all_products", "_selected_action": [mine.pk]}
    )
    other = AgentType.objects.get(project=other_project, slug="testing")
    assert (other.label, other.color) == ("QA", "plum")


def test_staff_see_only_what_they_have_permission_for(client, project, staff):
    usage(project)
    client.force_login(staff)
    assert client.get(address(CreditTransaction, "changelist")).status_code == 403
    staff.user_permissions.add(Permission.objects.get(codename="view_credittransaction"))
    assert client.get(address(CreditTransaction, "changelist")).status_code == 200
    assert client.get(address(BillingSetting, "changelist")).status_code == 403


PRICE = {"model": "ours", "starts_on": "2026-03-01", "input_rate": "2.5", "output_rate": "10"}


def test_a_price_override_applies_to_later_usage(admin, project):
    posted = admin.post(address(PriceOverride, "add"), {"project": project.pk, **PRICE})
    assert posted.status_code == 302, posted.context["errors"]
    line = usage(project, costDollars=None, model="ours", inputTokens=1_000_000, outputTokens=100_000)
    assert line.amount_nanos == 3_500_000_000


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("input_rate", "-1"),
        ("input_rate", "100001"),
        ("input_rate", ""),
        ("output_rate", "NaN"),
        ("cache_read_rate", "0.0000001"),
        ("starts_on", "soon"),
        ("model", ""),
    ],
)
def test_an_invalid_price_override_is_refused_and_not_stored(admin, project, field, wrong):
    page = admin.post(address(PriceOverride, "add"), {"project": project.pk, **PRICE, field: wrong})
    assert page.status_code == 200
    assert list(page.context["adminform"].form.errors) == [field]
    assert not PriceOverride.objects.exists()


def test_a_second_override_from_the_same_day_is_refused(admin, project):
    for expected in (302, 200):
        posted = admin.post(address(PriceOverride, "add"), {"project": project.pk, **PRICE})
        assert posted.status_code == expected
    assert PriceOverride.objects.count() == 1
