"""A person's own tokens: made, shown once, listed, revoked; and nobody else's."""

import hashlib
import re
from base64 import urlsafe_b64decode
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from products import tokens
from products.models import ApiToken, Membership
from tests.conftest import NOW
from tests.factories import ProjectFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock"), pytest.mark.once]

PAGE = "/account/tokens"
MONTHLY = "/api/trpc/aiCost.getCrossProjectSummary"
WRITTEN = re.compile(r"aicost_[A-Za-z0-9_-]{43}")


def signed_in(person: Any) -> Client:
    client = Client()
    client.force_login(person)
    return client


def form(**fields: Any) -> dict[str, Any]:
    """A form that was drawn just now."""
    newest = str(max(ApiToken.objects.values_list("pk", flat=True), default=0))
    return {"name": "Report", "scope": "read", "project": "", "lifetime": "90", "newest": newest, **fields}


def made_by(person: Any, **fields: Any) -> str:
    """The text of a token that the person makes on the page."""
    response = signed_in(person).post(PAGE, form(**fields))
    assert response.status_code == 200, response.content.decode()
    [text] = set(WRITTEN.findall(response.content.decode()))
    return str(text)


def text(response: Any) -> str:
    return unescape(response.content.decode())


def row(page: str, name: str) -> str:
    return next(one for one in re.findall(r"<tr>.*?</tr>", page, re.DOTALL) if f">{name}</bdi>" in one)


# ---- Making


def test_a_token_made_here_calls_the_api(owner: Any, project: Any) -> None:
    response = Client().get(MONTHLY, HTTP_AUTHORIZATION=f"Bearer {made_by(owner)}")
    assert response.status_code == 200
    assert response.json()["result"]["data"]["projects"][0]["name"] == project.name


@pytest.mark.parametrize("scope", ["read", "write", "ingest"])
def test_each_scope_can_be_made_for_one_product(owner: Any, project: Any, scope: str) -> None:
    made_by(owner, scope=scope, project=project.pk)
    token = ApiToken.objects.get()
    assert (token.user, token.scope, token.project, token.name) == (owner, scope, project, "Report")


def test_the_text_is_shown_once_and_kept_nowhere(owner: Any) -> None:
    client = signed_in(owner)
    response = client.post(PAGE, form())
    [secret] = set(WRITTEN.findall(response.content.decode()))
    assert "no-store" in response["Cache-Control"]
    assert not WRITTEN.search(client.get(PAGE).content.decode())
    kept = [repr(session.get_decoded()) for session in Session.objects.all()]
    kept += [cookie.value for cookie in client.cookies.values()]
    assert kept
    assert secret not in repr(kept)
    raw = urlsafe_b64decode(secret.removeprefix("aicost_") + "=")
    assert ApiToken.objects.get().token_hash == hashlib.sha256(raw).hexdigest()


@pytest.mark.parametrize(("lifetime", "days"), [("7", 7), ("30", 30), ("90", 90), ("365", 365)])
def test_it_expires_after_the_days_that_were_chosen(owner: Any, lifetime: str, days: int) -> None:
    made_by(owner, lifetime=lifetime)
    assert ApiToken.objects.get().expires_at == NOW + timedelta(days=days)


def test_it_never_expires_where_that_was_chosen(owner: Any) -> None:
    made_by(owner, lifetime="never")
    assert ApiToken.objects.get().expires_at is None
    assert "expires </span>never" in row(text(signed_in(owner).get(PAGE)), "Report")


@pytest.mark.parametrize(
    ("fields", "named", "said"),
    [
        ({"name": ""}, "name", "Enter what the token is for"),
        ({"name": "x" * 101}, "name", "at most 100"),
        ({"name": "a\0b"}, "name", "Null characters"),
        ({"scope": "root"}, "scope", "valid choice"),
        ({"scope": ""}, "scope", "required"),
        ({"lifetime": ""}, "lifetime", "required"),
        ({"lifetime": "5000"}, "lifetime", "valid choice"),
        ({"project": "999999"}, "project", "You don't have access to this product"),
        ({"project": "x"}, "project", "You don't have access to this product"),
        ({"project": "9" * 40}, "project", "You don't have access to this product"),
        ({"scope": "ingest"}, "project", "must name the product"),
    ],
)
def test_what_is_wrong_is_said_on_the_form_and_nothing_is_made(
    owner: Any, project: Any, fields: dict[str, str], named: str, said: str
) -> None:
    response = signed_in(owner).post(PAGE, form(**fields))
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [named]
    assert said in re.search(r'<p class="error".*?</p>', text(response), re.DOTALL)[0]
    assert not ApiToken.objects.exists()


def test_what_was_typed_is_kept_when_something_is_wrong(owner: Any, project: Any) -> None:
    fields = form(name="Nightly", scope="write", project=project.pk, lifetime="x")
    page = signed_in(owner).post(PAGE, fields).content.decode()
    assert 'value="Nightly"' in page
    assert re.search(r'value="write"[^>]* checked', page)
    assert f'<option value="{project.pk}" selected>' in page


def test_a_viewer_makes_no_ingest_token_and_a_manager_does(project: Any, viewer: Any, manager: Any) -> None:
    fields = form(scope="ingest", project=project.pk)
    refused = signed_in(viewer).post(PAGE, fields)
    assert refused.status_code == 422
    assert "owner or a manager" in text(refused)
    assert not ApiToken.objects.exists()
    assert signed_in(manager).post(PAGE, fields).status_code == 200


def test_only_live_products_that_one_sees_are_offered(owner: Any, project: Any, other_project: Any) -> None:
    archived = ProjectFactory(owner=owner, name="Mothballed", archived_at=NOW)
    client = signed_in(owner)
    page = text(client.get(PAGE))
    assert f"{project.name} · {project.pk}" in page
    for not_offered in (archived, other_project):
        assert not_offered.name not in page
        assert client.post(PAGE, form(project=not_offered.pk)).status_code == 422
    assert not ApiToken.objects.exists()


def test_reloading_the_answer_makes_no_other_token(owner: Any, project: Any) -> None:
    client = signed_in(owner)
    sent = form(name="Nightly", scope="write", project=project.pk)
    assert client.post(PAGE, sent).status_code == 200
    for _ in range(2):
        again = client.post(PAGE, sent)
        assert again.status_code == 422
        assert "already been created" in re.search(r'<p class="error.*?</p>', text(again), re.DOTALL)[0]
        assert not WRITTEN.search(text(again))
        assert 'value="Nightly"' in text(again)
    assert ApiToken.objects.count() == 1
    shown = re.search(r'name="newest" value="(\d+)"', text(again))[1]
    assert client.post(PAGE, {**sent, "newest": shown}).status_code == 200
    assert ApiToken.objects.count() == 2


def test_the_page_says_which_token_is_the_newest(owner: Any, stranger: Any) -> None:
    client = signed_in(owner)
    assert 'name="newest" value="0"' in text(client.get(PAGE))
    token, _ = tokens.issue(owner)
    tokens.issue(stranger)
    assert f'name="newest" value="{token.pk}"' in text(client.get(PAGE))


# ---- The list


def test_the_list_says_what_a_token_is(owner: Any, project: Any) -> None:
    token, _ = tokens.issue(owner, scope="write", project=project, name="Bot", expires_at=NOW)
    ApiToken.objects.filter(pk=token.pk).update(expires_at=NOW + timedelta(days=1), last_used_at=NOW)
    line = row(text(signed_in(owner).get(PAGE)), "Bot")
    for said in ("active", "write", project.name, "18 Mar 2026, 12:00", "17 Mar 2026, 12:00"):
        assert said in line


def test_revoked_and_expired_tokens_stay_listed_but_not_among_those_in_use(owner: Any) -> None:
    tokens.issue(owner, name="Old", expires_at=NOW)
    revoked, _ = tokens.issue(owner, name="Lost")
    tokens.revoke(revoked)
    tokens.issue(owner, name="Good", expires_at=NOW + timedelta(seconds=1))
    page = text(signed_in(owner).get(PAGE))
    for name, state in (("Old", "expired"), ("Lost", "revoked"), ("Good", "active")):
        assert f">{state}</span>" in row(page, name)
    in_use, ended = page.split('<details class="behind">')
    assert row(in_use, "Good")
    assert row(ended, "Old")
    assert row(ended, "Lost")
    assert "/revoke" not in ended


def test_everyone_sees_only_their_own(owner: Any, project: Any, superuser: Any, staff: Any) -> None:
    tokens.issue(owner, name="Owners token")
    assert "Owners token" in text(signed_in(owner).get(PAGE))
    for other in (superuser, staff):
        assert "Owners token" not in text(signed_in(other).get(PAGE))


def test_who_left_a_product_is_not_told_its_new_name(viewer: Any, project: Any) -> None:
    tokens.issue(viewer, name="Reader", project=project)
    assert project.name in row(text(signed_in(viewer).get(PAGE)), "Reader")
    Membership.objects.get(user=viewer).delete()
    project.name = "Secret Plan"
    project.save()
    page = text(signed_in(viewer).get(PAGE))
    assert "Secret Plan" not in page
    assert "you no longer have access" in row(page, "Reader")


def test_a_hostile_name_is_only_text(owner: Any) -> None:
    client = signed_in(owner)
    hostile = "<script>alert(1)</script>"
    pages = [client.post(PAGE, form(name=hostile)), client.get(PAGE)]
    pages.append(client.post(reverse("revoke-token", args=[ApiToken.objects.get().pk]), follow=True))
    for page in pages:
        assert page.status_code == 200
        assert "<script>alert" not in page.content.decode()
        assert hostile in text(page)


def test_the_list_asks_the_database_as_often_for_many_tokens(owner: Any, project: Any) -> None:
    client = signed_in(owner)
    tokens.issue(owner, project=project)

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert client.get(PAGE).status_code == 200
        return len(found)

    before = queries()
    for number in range(5):
        tokens.issue(owner, project=project, name=f"Token {number}")
    assert queries() == before == 5  # session, user, tokens, their products, products


# ---- Revoking


def test_a_revoked_token_is_worth_nothing(owner: Any) -> None:
    secret = made_by(owner)
    response = signed_in(owner).post(reverse("revoke-token", args=[ApiToken.objects.get().pk]), follow=True)
    assert "“Report” has been revoked" in text(response)
    assert Client().get(MONTHLY, HTTP_AUTHORIZATION=f"Bearer {secret}").status_code == 401


def test_revoking_again_keeps_the_first_time(owner: Any, clock: Any) -> None:
    token, _ = tokens.issue(owner)
    client, address = signed_in(owner), reverse("revoke-token", args=[token.pk])
    client.post(address)
    clock.shift(60)
    assert client.post(address).status_code == 302
    token.refresh_from_db()
    assert token.revoked_at == NOW


def test_another_persons_token_is_no_token(owner: Any, stranger: Any, superuser: Any) -> None:
    token, _ = tokens.issue(owner)
    for other in (stranger, superuser):
        client = signed_in(other)
        theirs = client.post(reverse("revoke-token", args=[token.pk]))
        absent = client.post(reverse("revoke-token", args=[10**30]))
        assert theirs.status_code == absent.status_code == 404
        token.refresh_from_db()
        assert token.revoked_at is None


def test_a_link_alone_revokes_nothing(owner: Any) -> None:
    token, _ = tokens.issue(owner)
    client = signed_in(owner)
    assert client.get(reverse("revoke-token", args=[token.pk])).status_code == 405
    token.refresh_from_db()
    assert token.revoked_at is None


def test_another_sites_form_neither_makes_nor_revokes(owner: Any) -> None:
    token, _ = tokens.issue(owner)
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    assert client.post(PAGE, form()).status_code == 403
    assert client.post(reverse("revoke-token", args=[token.pk])).status_code == 403
    token.refresh_from_db()
    assert token.revoked_at is None
    assert ApiToken.objects.count() == 1


# ---- The page


def test_who_is_not_signed_in_is_sent_to_sign_in(client: Client, owner: Any) -> None:
    token, _ = tokens.issue(owner)
    for response in (client.get(PAGE), client.post(PAGE, form()), client.post(f"{PAGE}/{token.pk}/revoke")):
        assert response.status_code == 302
        assert response["Location"].startswith(reverse("sign-in"))
    assert ApiToken.objects.filter(revoked_at=None).count() == 1


def test_a_token_makes_no_tokens(owner: Any) -> None:
    _, secret = tokens.issue(owner, scope="write")
    assert Client().post(PAGE, form(), HTTP_AUTHORIZATION=f"Bearer {secret}").status_code == 302
    assert ApiToken.objects.count() == 1


def test_the_sidebar_leads_here_and_says_so(owner: Any) -> None:
    assert f'href="{PAGE}"' in text(signed_in(owner).get("/"))
    assert f'href="{PAGE}" aria-current="page"' in text(signed_in(owner).get(PAGE))


def test_it_has_no_inline_script_or_style(owner: Any) -> None:
    tokens.issue(owner, name="Bot")
    pages = [signed_in(owner).get(PAGE), signed_in(owner).post(PAGE, form())]
    for page in pages:
        body = page.content.decode()
        assert not re.search(r"<style|\sstyle=|\son\w+=|hx-on|<script(?![^>]* src=)|javascript:", body)
