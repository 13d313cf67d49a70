"""The audit log: an entry for each action, floods are limited, no secrets, and who can read it."""

import csv
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from html import unescape
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import Error, connection, transaction
from django.test import Client
from django.urls import reverse

from billing.alerts import channels
from billing.budgets import limits, policies
from billing.models import PriceOverride
from products import audit, members, tokens
from products.models import Membership, Project
from products.models.audit import DETAIL_LENGTH, AuditEntry, AuditLogIsAppendOnly, Kind
from tests.conftest import NOW
from tests.factories import PASSWORD, ProjectFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

ADDRESS = "192.0.2.7"


def signed_in(person: Any) -> Client:
    client = Client(REMOTE_ADDR=ADDRESS)
    client.force_login(person)
    return client


def url(project: Any, name: str = "audit") -> str:
    return reverse(name, args=[project.pk])


def text(response: Any) -> str:
    return unescape(response.content.decode())


def entry(kind: Kind) -> AuditEntry:
    return AuditEntry.objects.get(kind=kind)


def fields(kind: Kind) -> tuple[str, str, str, str, str]:
    """Who, about whom, product, address and details of the only entry of that kind."""
    found = AuditEntry.objects.select_related("about", "project").get(kind=kind)
    return (found.who_name, str(found.about or ""), str(found.project or ""), found.address, found.detail)


def sign_in(username: str, password: str = PASSWORD, **headers: str) -> Any:
    form = {"username": username, "password": password}
    return Client(REMOTE_ADDR=ADDRESS, **headers).post(reverse("sign-in"), form)


# ---- An entry for each action


def test_signing_in_and_out_is_recorded(owner: Any) -> None:
    client = Client(REMOTE_ADDR=ADDRESS)
    client.post(reverse("sign-in"), {"username": "owner", "password": PASSWORD})
    assert fields(Kind.SIGNED_IN) == ("owner", "owner", "", ADDRESS, "")
    client.post(reverse("sign-out"))
    assert fields(Kind.SIGNED_OUT) == ("owner", "owner", "", ADDRESS, "")
    Client().post(reverse("sign-out"))
    assert AuditEntry.objects.count() == 2


def test_a_failed_sign_in_names_the_account_but_no_person(owner: Any) -> None:
    sign_in("owner", "wrong")
    assert fields(Kind.SIGN_IN_FAILED) == ("", "owner", "", ADDRESS, "")


def test_signing_in_to_the_admin_is_recorded(superuser: Any) -> None:
    client = Client(REMOTE_ADDR=ADDRESS)
    client.post("/admin/login/", {"username": "superuser", "password": "wrong"})
    client.post("/admin/login/", {"username": "superuser", "password": PASSWORD})
    kinds = AuditEntry.objects.order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == [Kind.SIGN_IN_FAILED, Kind.SIGNED_IN]


def test_changes_of_budget_and_policy_are_recorded_wherever_they_are_made(
    project: Any, owner: Any, superuser: Any
) -> None:
    client = signed_in(owner)
    client.post(url(project, "budget"), {"limit": "99.50", "note": "For spring"})
    assert fields(Kind.BUDGET_CHANGED) == ("owner", "", "Lighthouse", ADDRESS, "no limit → $99.5: For spring")
    client.post(url(project, "budget-policy"), {"policy": "warn"})
    assert fields(Kind.POLICY_CHANGED) == ("owner", "", "Lighthouse", ADDRESS, "warn")
    _, secret = tokens.issue(owner, scope="write")
    body = {"projectId": str(project.pk), "limitDollars": 5}
    header = {"HTTP_AUTHORIZATION": f"Bearer {secret}", "REMOTE_ADDR": "192.0.2.8"}
    Client().post("/api/trpc/aiCost.setBudgetLimit", body, content_type="application/json", **header)
    [setting] = project.billing_settings.filter(key=limits.KEY)
    signed_in(superuser).post(f"/admin/billing/billingsetting/{setting.pk}/delete/", {"post": "yes"})
    lines = AuditEntry.objects.filter(kind=Kind.BUDGET_CHANGED).order_by("pk")
    assert [(one.who_name, one.address, one.detail) for one in lines[1:]] == [
        ("owner", "192.0.2.8", "$99.5 → $5"),
        ("superuser", ADDRESS, "$5 → no limit"),
    ]


def test_an_action_that_changes_nothing_is_not_recorded(project: Any, owner: Any) -> None:
    for _ in range(2):
        limits.set_limit(project, Decimal(5), by=owner)
        policies.set_policy(project, "warn", by=owner)
    assert AuditEntry.objects.count() == 2


def test_an_action_that_is_rolled_back_leaves_no_entry(project: Any, owner: Any, viewer: Any) -> None:
    with transaction.atomic():
        limits.set_limit(project, Decimal(5), by=owner)
        members.remove(project, viewer, by=owner)
        assert AuditEntry.objects.count() == 2
        transaction.set_rollback(True)
    assert not AuditEntry.objects.exists()


def test_changed_alerts_are_recorded_without_addresses_and_urls(project: Any, owner: Any) -> None:
    sent = {
        "thresholds": "50, 90",
        "email_more": "secret@example.com",
        "webhook_url": "https://hooks.example.com/T0/secret-part",
    }
    signed_in(owner).post(url(project, "alerts"), sent)
    assert fields(Kind.ALERTS_CHANGED) == (
        *("owner", "", "Lighthouse", ADDRESS),
        "at 50, 90 %: 1 more by email, a webhook",
    )
    channels.change(project, thresholds=[1], email_people=False, email_more=[], webhook_url="", by=owner)
    assert AuditEntry.objects.filter(detail="at 1 %: nobody").exists()


def test_price_overrides_are_recorded_when_set_and_removed(project: Any, superuser: Any) -> None:
    client = signed_in(superuser)
    sent = {
        "project": project.pk,
        "model": "ours-1",
        "starts_on": "2026-03-01",
        "input_rate": "1",
        "output_rate": "2",
    }
    assert client.post("/admin/billing/priceoverride/add/", sent).status_code == 302
    details = "ours-1 from 2026-03-01: 1 / 2 dollars a million tokens"
    assert fields(Kind.PRICE_SET) == ("superuser", "", "Lighthouse", ADDRESS, details)
    chosen = [PriceOverride.objects.get().pk]
    action = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
    client.post("/admin/billing/priceoverride/", action)
    assert not PriceOverride.objects.exists()
    who, _, product, _, detail = fields(Kind.PRICE_REMOVED)
    assert (who, product) == ("superuser", "Lighthouse")
    assert detail.startswith("ours-1 from 2026-03-01")


def test_tokens_are_recorded_by_name_when_created_and_revoked(
    project: Any, owner: Any, superuser: Any
) -> None:
    client = signed_in(owner)
    sent = {"name": "Nightly", "scope": "write", "project": project.pk, "lifetime": "7", "newest": "0"}
    client.post("/account/tokens", sent)
    details = "write “Nightly” of owner"
    assert fields(Kind.TOKEN_MADE) == ("owner", "owner", "Lighthouse", ADDRESS, details)
    [token] = owner.api_tokens.all()
    action = {"action": "revoke", "_selected_action": [token.pk]}
    for _ in range(2):
        signed_in(superuser).post("/admin/products/apitoken/", action)
    assert fields(Kind.TOKEN_REVOKED) == ("superuser", "owner", "Lighthouse", ADDRESS, details)


def test_tokens_from_connect_the_admin_and_the_command_are_recorded(
    project: Any, owner: Any, superuser: Any
) -> None:
    signed_in(owner).post(url(project, "connect"), {"newest": "0"})
    sent = {"user": owner.pk, "scope": "read", "name": "From admin"}
    signed_in(superuser).post("/admin/products/apitoken/add/", sent)
    call_command("create_token", user="owner", stdout=StringIO())
    made = AuditEntry.objects.filter(kind=Kind.TOKEN_MADE).order_by("pk")
    assert [one.who_name for one in made] == ["owner", "superuser", ""]


def test_archiving_and_restoring_are_recorded_once(project: Any, superuser: Any) -> None:
    client = signed_in(superuser)
    for action in ("archive", "archive", "restore", "restore"):
        client.post("/admin/products/project/", {"action": action, "_selected_action": [project.pk]})
    assert fields(Kind.ARCHIVED) == ("superuser", "", "Lighthouse", ADDRESS, "")
    assert fields(Kind.RESTORED) == ("superuser", "", "Lighthouse", ADDRESS, "")


# ---- Denials


def test_a_strangers_request_and_a_viewers_change_are_recorded(
    project: Any, stranger: Any, viewer: Any
) -> None:
    signed_in(stranger).get(url(project, "ai-cost"))
    signed_in(viewer).post(url(project, "budget"), {"limit": "5"})
    denied = AuditEntry.objects.filter(kind=Kind.DENIED, project=project).order_by("pk")
    assert [(one.who_name, one.address, one.detail) for one in denied] == [
        ("stranger", ADDRESS, f"GET {url(project, 'ai-cost')}"),
        ("viewer", ADDRESS, f"POST {url(project, 'budget')}"),
    ]


def test_a_denial_names_the_token(project: Any, viewer: Any, stranger: Any) -> None:
    _, secret = tokens.issue(viewer, scope="write", name="Nightly")
    body = {"projectId": str(project.pk), "limitDollars": 5}
    header = {"HTTP_AUTHORIZATION": f"Bearer {secret}", "REMOTE_ADDR": ADDRESS}
    for address, sent in (
        ("/api/trpc/aiCost.setBudgetLimit", body),
        ("/api/rpc", {"jsonrpc": "2.0", "id": 1, "method": "aiCost.setBudgetLimit", "params": body}),
    ):
        Client().post(address, sent, content_type="application/json", **header)
    assert fields(Kind.DENIED) == (
        *("viewer", "viewer", "Lighthouse", ADDRESS),
        "aiCost.setBudgetLimit by the token “Nightly”",
    )
    assert entry(Kind.DENIED).times == 2


def test_usage_sent_with_a_token_that_lost_its_access_is_recorded(
    project: Any, manager: Any, owner: Any
) -> None:
    _, secret = tokens.issue(manager, scope="ingest", project=project, name="Bot")
    members.remove(project, manager, by=owner)
    for address in ("/api/v1/usage", "/v1/traces", "/v1/logs", "/api/v1/litellm"):
        header = {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
        assert Client().post(address, [], content_type="application/json", **header).status_code == 404
    assert entry(Kind.DENIED).detail == "POST /api/v1/usage by the token “Bot”"
    assert entry(Kind.DENIED).times == 4


def test_denials_without_a_product_or_a_person_are_not_recorded(project: Any, stranger: Any) -> None:
    client = signed_in(stranger)
    AuditEntry._base_manager.all().delete()
    for missing in ("999999", "abc", "0", "9" * 40):
        assert client.get(reverse("product", args=[missing])).status_code == 404
    Client().get(url(project, "product"))
    header = {"HTTP_AUTHORIZATION": "Bearer aicost_" + "x" * 43}
    Client().post("/api/v1/usage", [], content_type="application/json", **header)
    assert not AuditEntry.objects.exists()


def test_a_flood_of_denials_is_one_entry_an_hour_with_a_count(
    project: Any, stranger: Any, clock: Any
) -> None:
    client = signed_in(stranger)
    for minute in range(3):
        clock.move_to(NOW + timedelta(minutes=minute))
        for name in ("product", "ai-cost", "budget", "members"):
            client.get(url(project, name))
    flood = entry(Kind.DENIED)
    assert (flood.times, flood.at, flood.last_at) == (12, NOW, NOW + timedelta(minutes=2))
    clock.move_to(NOW + timedelta(hours=1))
    client.get(url(project, "product"))
    assert list(AuditEntry.objects.filter(kind=Kind.DENIED).values_list("times", flat=True)) == [12, 1]


def test_a_flood_of_failed_sign_ins_with_invented_names_is_one_entry_an_hour(owner: Any) -> None:
    for number in range(15):
        sign_in(f"invented-{number}", "wrong")
    flood = entry(Kind.SIGN_IN_FAILED)
    assert (flood.times, flood.about, flood.detail) == (15, None, "no account: inv…")


@pytest.mark.django_db(transaction=True)
def test_concurrent_denials_are_all_counted_in_one_entry(project: Any, stranger: Any) -> None:
    def deny(_: int) -> None:
        try:
            audit.count(Kind.DENIED, by=stranger, counter="one", about=stranger, project=project)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(deny, range(40)))
    assert entry(Kind.DENIED).times == 40


def test_a_password_typed_as_a_user_name_is_not_stored(owner: Any) -> None:
    sign_in("my-secret-password", "x")
    assert "secret" not in str(list(AuditEntry.objects.values()))


def test_the_request_is_denied_even_if_its_entry_cannot_be_written(
    project: Any, stranger: Any, monkeypatch: Any, caplog: Any
) -> None:
    client = signed_in(stranger)

    def broken(*_: Any, **__: Any) -> None:
        raise Error("the disk is full")

    monkeypatch.setattr(audit, "count", broken)
    assert client.get(url(project, "product")).status_code == 404
    assert "a denial could not be recorded" in caplog.text


# ---- No secrets, and nothing that breaks the page


def test_no_secret_is_in_the_log(project: Any, owner: Any, manager: Any) -> None:
    client = Client()
    client.post(reverse("sign-in"), {"username": "owner", "password": PASSWORD})
    sign_in("owner", "nearly-" + PASSWORD)
    _, secret = tokens.issue(manager, scope="write", by=manager)
    members.remove(project, manager, by=owner)
    Client().get(
        "/api/trpc/aiCost.getMonthlyTrend",
        {"input": f'{{"projectId":"{project.pk}"}}'},
        HTTP_AUTHORIZATION=f"Bearer {secret}",
    )
    new = "another horse battery staple"
    form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert client.post(reverse("password"), form).status_code == 302
    stored = str(list(AuditEntry.objects.values()))
    assert {one.kind for one in AuditEntry.objects.all()} >= {Kind.DENIED, Kind.PASSWORD_CHANGED}
    for value in (PASSWORD, new, secret, secret.removeprefix("aicost_"), client.cookies["sessionid"].value):
        assert value not in stored


@pytest.mark.parametrize("odd", ["<img onerror=x>", "=HYPERLINK(1)", "\u202eevil", "x" * 150])
def test_odd_names_are_text_on_the_page_and_in_the_file(project: Any, owner: Any, odd: str) -> None:
    person = UserFactory(username=odd)
    signed_in(person).get(url(project, "product"))
    members.add(project, person, "viewer", by=owner)
    page = signed_in(owner).get(url(project)).content.decode()
    assert "<img" not in page
    assert "\u202e" not in unescape(page).split(f'title="{odd}"')[0]
    rows = list(csv.reader(StringIO(b"".join(signed_in(owner).get(url(project, "export-audit"))).decode())))
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    assert {row[1] for row in rows} >= {"denied", "member-added"}


def test_details_are_one_short_line(project: Any, owner: Any) -> None:
    audit.record(Kind.DENIED, by=owner, project=project, detail="a\nb\x1b" + "x" * 1000)
    assert entry(Kind.DENIED).detail.startswith("a\\nb\\x1bxxx")
    assert len(entry(Kind.DENIED).detail) == DETAIL_LENGTH


# ---- Append-only, and retention


def test_the_orm_cannot_change_or_delete_entries(project: Any, owner: Any) -> None:
    audit.record(Kind.DENIED, by=owner, project=project)
    denial = entry(Kind.DENIED)
    denial.detail = "nothing"
    for change in (
        denial.save,
        denial.delete,
        lambda: AuditEntry.objects.update(detail=""),
        lambda: AuditEntry.objects.all().delete(),
        lambda: AuditEntry.objects.bulk_update([denial], ["detail"]),
    ):
        with pytest.raises(AuditLogIsAppendOnly):
            change()
    assert entry(Kind.DENIED).detail == ""


@pytest.mark.parametrize("column", ["at", "kind", "who_name", "address", "detail"])
def test_the_database_refuses_changes_of_an_entry(project: Any, owner: Any, column: str) -> None:
    audit.record(Kind.DENIED, by=owner, project=project)
    with pytest.raises(Error, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE products_auditentry SET {column} = {column}")


def test_entries_older_than_the_retention_period_are_deleted(project: Any, owner: Any, settings: Any) -> None:
    settings.AUDIT_RETENTION_DAYS = 30
    for days in (29, 30, 31, 400):
        audit.record(Kind.DENIED, by=owner, project=project, at=NOW - timedelta(days=days), detail=f"{days}")
    output = StringIO()
    call_command("prune_audit", stdout=output)
    assert output.getvalue() == "2 deleted\n"
    assert set(AuditEntry.objects.values_list("detail", flat=True)) == {"29", "30"}


def test_many_entries_are_deleted_in_several_transactions(owner: Any) -> None:
    for _ in range(7):
        audit.record(Kind.SIGNED_IN, by=owner, about=owner)
    assert audit.prune(NOW + timedelta(seconds=1), batch=3) == 7
    assert not AuditEntry.objects.exists()


def test_entries_keep_the_name_of_a_deleted_user_and_the_id_of_a_deleted_product(owner: Any) -> None:
    leaver = UserFactory(username="leaver")
    project = ProjectFactory(owner=owner)
    other = ProjectFactory(owner=owner)
    members.add(project, leaver, "viewer", by=owner)
    audit.record(Kind.DENIED, by=leaver, about=leaver, project=project)
    get_user_model().objects.get(pk=leaver.pk).delete()
    deleted = project.pk
    Project.objects.get(pk=deleted).delete()
    denial = entry(Kind.DENIED)
    assert (denial.who, denial.who_name, denial.project_id) == (None, "leaver", deleted)
    assert "member added" not in rows_of(signed_in(owner).get(url(other)))


# ---- The page


def rows_of(response: Any) -> str:
    assert response.status_code == 200
    return text(response).split("<tbody>")[1].split("</tbody>")[0]


@pytest.mark.parametrize("name", ["audit", "export-audit"])
def test_only_the_owner_and_superusers_can_read_it(
    project: Any,
    owner: Any,
    superuser: Any,
    manager: Any,
    viewer: Any,
    stranger: Any,
    staff: Any,
    name: str,
) -> None:
    for person, status in (
        *((owner, 200), (superuser, 200), (manager, 403), (viewer, 403)),
        *((stranger, 404), (staff, 404)),
    ):
        assert signed_in(person).get(url(project, name)).status_code == status
    assert Client().get(url(project, name)).status_code == 302
    _, secret = tokens.issue(owner, scope="write")
    assert Client().get(url(project, name), HTTP_AUTHORIZATION=f"Bearer {secret}").status_code == 302


def test_it_contains_sign_ins_of_its_members_but_not_of_others(
    project: Any, owner: Any, viewer: Any, stranger: Any
) -> None:
    sign_in("viewer", "wrong")
    for person in (viewer, stranger):
        signed_in(person)
    page = rows_of(signed_in(owner).get(url(project)))
    assert page.count(">viewer</bdi>") == 2
    assert "sign-in failed" in page
    assert "stranger" not in page
    Membership.objects.filter(user=viewer).delete()
    assert ">viewer</bdi>" not in rows_of(signed_in(owner).get(url(project)))


def test_it_contains_tokens_for_every_product_but_not_those_for_another(
    project: Any, other_project: Any, owner: Any, manager: Any, stranger: Any
) -> None:
    members.add(other_project, manager, "manager", by=stranger)
    tokens.issue(manager, name="Everywhere", by=manager)
    tokens.issue(manager, name="There", project=other_project, by=manager)
    page = rows_of(signed_in(owner).get(url(project)))
    assert "Everywhere" in page
    assert "There”" not in page


def test_the_newest_entry_comes_first_and_the_kind_can_be_chosen(
    project: Any, owner: Any, clock: Any
) -> None:
    limits.set_limit(project, Decimal(5), by=owner)
    clock.shift(60)
    policies.set_policy(project, "warn", by=owner)
    client = signed_in(owner)
    page = rows_of(client.get(url(project)))
    assert page.index("policy changed") < page.index("budget changed")
    only = rows_of(client.get(url(project), {"kind": "budget-changed"}))
    assert "policy changed" not in only
    assert "no limit → $5" in only
    assert 'value="budget-changed" selected' in text(client.get(url(project), {"kind": "budget-changed"}))
    file = b"".join(client.get(url(project, "export-audit"), {"kind": "budget-changed"})).decode()
    assert file.splitlines() == [
        "at,kind,who,about,address,detail,times,lastAt",
        "2026-03-17T12:00:00Z,budget-changed,owner,,,no limit → $5,1,",
    ]


@pytest.mark.parametrize("query", ["kind=odd", "page=0", "page=x", "page=" + "9" * 9])
def test_an_invalid_parameter_is_named(project: Any, owner: Any, query: str) -> None:
    response = signed_in(owner).get(f"{url(project)}?{query}")
    assert response.status_code == 400
    assert query.partition("=")[0] in text(response)


def test_pages_of_the_log_keep_the_kind(project: Any, owner: Any) -> None:
    for number in range(60):
        audit.record(Kind.DENIED, by=owner, project=project, detail=f"number {number}")
    client = signed_in(owner)
    first = client.get(url(project), {"kind": "denied"})
    assert rows_of(first).count("<tr>") == 50
    [older] = re.findall(r'href="([^"]+)">Older', text(first))
    last = client.get(older)
    assert rows_of(last).count("<tr>") == 10
    assert "number 0<" in rows_of(last)
    assert re.search(r'href="[^"]*kind=denied[^"]*">[^O]*Newer', text(last))
    assert "No entries of this kind" in text(client.get(f"{older[:-1]}3"))


def test_a_long_log_needs_no_more_queries(project: Any, owner: Any, django_assert_num_queries: Any) -> None:
    client = signed_in(owner)
    for number in range(30):
        about = UserFactory(username=f"about-{number}")
        audit.record(Kind.MEMBER_ADDED, by=owner, about=about, project=project)
    with django_assert_num_queries(4):  # session, user, product, entries
        client.get(url(project))


def test_the_admin_shows_it_but_cannot_change_it(project: Any, superuser: Any, viewer: Any) -> None:
    audit.record(Kind.DENIED, by=viewer, about=viewer, project=project, detail="GET /somewhere")
    client = signed_in(superuser)
    assert "GET /somewhere" in text(client.get("/admin/products/auditentry/"))
    address = f"/admin/products/auditentry/{entry(Kind.DENIED).pk}/"
    assert client.get(f"{address}change/").status_code == 200
    assert client.post(f"{address}change/", {"detail": ""}).status_code == 403
    assert client.post(f"{address}delete/", {"post": "yes"}).status_code == 403
    assert client.get("/admin/products/auditentry/add/").status_code == 403
