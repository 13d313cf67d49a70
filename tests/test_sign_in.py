"""Sign-in: lockouts after too many failures, the maximum age of sessions, and password changes."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client, RequestFactory
from django.urls import reverse

from aicost.http.authentication import BAD_TOKENS_A_MINUTE
from aicost.http.client_ip import client_ip
from products.models.audit import AuditEntry, Kind
from tests.conftest import NOW
from tests.factories import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock"), pytest.mark.once]

OFFICE, HOME = "192.0.2.7", "198.51.100.1"
TRIES = 10
SIGN_IN = "/sign-in/"
NEW = "another horse battery staple"


def sign_in(
    username: str, password: str = PASSWORD, *, address: str = OFFICE, to: str = SIGN_IN, **headers: str
) -> Any:
    form = {"username": username, "password": password}
    return Client(REMOTE_ADDR=address).post(to, form, **headers)


def fail(username: str, times: int = TRIES, **where: Any) -> Any:
    """Fail to sign in so many times. Returns the last response."""
    return [sign_in(username, "wrong", **where) for _ in range(times)][-1]


def browser(username: str) -> Client:
    client = Client(REMOTE_ADDR=OFFICE)
    assert client.post(SIGN_IN, {"username": username, "password": PASSWORD}).status_code == 302
    return client


def is_in(client: Client) -> bool:
    response = client.get("/")
    assert response.status_code in (200, 302)
    return response.status_code == 200


def text(response: Any) -> str:
    return unescape(response.content.decode())


# ---- Lockout


def test_nine_failures_cause_no_lockout(owner: Any) -> None:
    assert fail("owner", TRIES - 1).status_code == 200
    assert sign_in("owner").status_code == 302
    assert fail("owner", TRIES - 1).status_code == 200  # counted from nothing again


@pytest.mark.parametrize("page", [SIGN_IN, "/admin/login/"])
def test_the_tenth_failure_locks_out_and_says_until_when(superuser: Any, clock: Any, page: str) -> None:
    response = fail("superuser", to=page)
    assert response.status_code == 429
    assert response["Retry-After"] == "900"
    assert "no-store" in response["Cache-Control"]
    assert "in 15 minutes, at 17 Mar 2026, 12:15 UTC" in text(response)
    clock.shift(60)
    right = sign_in("superuser", to=page)
    assert right.status_code == 429
    assert "in 14 minutes, at 17 Mar 2026, 12:15 UTC" in text(right)


def test_failures_on_both_sign_in_pages_count_together(superuser: Any) -> None:
    fail("superuser", 5)
    assert fail("superuser", 5, to="/admin/login/").status_code == 429
    assert sign_in("superuser").status_code == 429


def test_a_lockout_ends_and_attempts_do_not_prolong_it(owner: Any, clock: Any) -> None:
    fail("owner")
    for _ in range(14):
        clock.shift(60)
        assert sign_in("owner", "wrong").status_code == 429
    clock.move_to(NOW + timedelta(minutes=15, seconds=1))
    assert sign_in("owner").status_code == 302


def test_attacking_one_account_does_not_lock_out_another_behind_the_same_address(
    owner: Any, viewer: Any
) -> None:
    fail("owner", 12)
    fail("invented", 12)
    assert sign_in("owner").status_code == 429
    assert sign_in("viewer").status_code == 302


def test_an_attack_from_one_address_leaves_the_account_usable_from_another(owner: Any) -> None:
    fail("owner", 12)
    assert sign_in("owner", address=HOME).status_code == 302


def test_an_attack_does_not_sign_the_user_out(owner: Any) -> None:
    client = browser("owner")
    fail("owner", 12)
    assert is_in(client)


def test_an_unknown_username_is_answered_like_a_known_one(owner: Any) -> None:
    real, invented = fail("owner"), fail("invented")
    assert real.status_code == invented.status_code == 429
    assert real.content == invented.content


def test_another_user_agent_does_not_reset_the_count(owner: Any) -> None:
    for number in range(TRIES):
        response = sign_in("owner", "wrong", HTTP_USER_AGENT=f"browser {number}")
    assert response.status_code == 429


@pytest.mark.parametrize("header", ["HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_FORWARDED"])
def test_a_forged_address_changes_nothing(owner: Any, header: str) -> None:
    for number in range(TRIES):
        response = sign_in("owner", "wrong", **{header: f"203.0.113.{number}"})
    assert response.status_code == 429
    assert set(AuditEntry.objects.values_list("address", flat=True)) == {OFFICE}
    assert sign_in("owner", **{header: HOME}).status_code == 429


def test_a_trusted_proxy_separates_clients_and_ignores_forged_addresses(owner: Any, settings: Any) -> None:
    settings.TRUSTED_PROXIES = 1
    for number in range(TRIES):
        forged = f"203.0.113.{number}, {HOME}"
        response = sign_in("owner", "wrong", HTTP_X_FORWARDED_FOR=forged)
    assert response.status_code == 429
    assert sign_in("owner", HTTP_X_FORWARDED_FOR=f"{HOME}").status_code == 429
    assert sign_in("owner", HTTP_X_FORWARDED_FOR=f"{HOME}, 203.0.113.77").status_code == 302


def test_failures_from_an_invalid_address_count(owner: Any) -> None:
    assert fail("owner", address="unix:/run/a.sock").status_code == 429
    assert sign_in("owner", address="another\nline").status_code == 429
    assert set(AuditEntry.objects.values_list("address", flat=True)) == {""}


def test_lockouts_are_recorded_in_one_audit_entry_an_hour(owner: Any) -> None:
    fail("owner", 14)
    failed = AuditEntry.objects.get(kind=Kind.SIGN_IN_FAILED)
    paused = AuditEntry.objects.get(kind=Kind.LOCKED_OUT)
    assert (failed.times, paused.times) == (9, 5)  # the tenth begins the pause
    assert paused.about == owner
    assert paused.address == OFFICE


def test_failed_sign_ins_are_logged_with_user_and_address(owner: Any, caplog: Any) -> None:
    sign_in("owner", "nearly the password")
    sign_in("my-password\nforged", "x", address=HOME)
    ours = [one.getMessage() for one in caplog.records if one.name == "aicost.access"]
    assert ours == [
        f"sign-in failed: user {owner.pk} from {OFFICE}",
        f"sign-in failed: no account from {HOME}",
    ]
    assert "nearly" not in caplog.text
    assert "my-password" not in caplog.text


def test_passwords_of_failed_attempts_are_not_stored(owner: Any) -> None:
    sign_in("owner", "nearly the password")
    [stored] = AccessAttempt.objects.values()
    assert "nearly" not in str(stored)
    assert stored["username"] == "owner"


def test_old_attempts_are_deleted_by_the_next(owner: Any, clock: Any) -> None:
    for number in range(5):
        sign_in(f"invented-{number}", "wrong")
    clock.shift(901)
    sign_in("owner", "wrong")
    assert AccessAttempt.objects.count() == 1


@pytest.mark.parametrize("odd", ["<img onerror=x>", "a\u202eb", "x" * 150, "=1+1"])
def test_odd_usernames_cause_no_error(db: None, odd: str) -> None:
    response = fail(odd)
    assert response.status_code == 429
    assert odd not in response.content.decode()


def test_the_lockout_page_has_no_inline_script_or_style(owner: Any) -> None:
    body = fail("owner").content.decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=|hx-on|<script(?![^>]* src=)|javascript:", body)


def test_bad_tokens_are_counted_by_client_address(settings: Any) -> None:
    cache.clear()

    def ask(**headers: str) -> int:
        bad = {"HTTP_AUTHORIZATION": "Bearer aicost_" + "x" * 43}
        address = "/api/trpc/aiCost.getCrossProjectSummary"
        return Client(REMOTE_ADDR=OFFICE).get(address, **bad, **headers).status_code

    for number in range(BAD_TOKENS_A_MINUTE):
        assert ask(HTTP_X_FORWARDED_FOR=f"203.0.113.{number}") == 401
    assert ask() == 429
    settings.TRUSTED_PROXIES = 1
    assert ask(HTTP_X_FORWARDED_FOR=HOME) == 401


@pytest.mark.parametrize(
    ("proxies", "forwarded", "remote", "address"),
    [
        (0, "203.0.113.9", OFFICE, OFFICE),
        (1, "", OFFICE, OFFICE),
        (1, "203.0.113.9", OFFICE, "203.0.113.9"),
        (1, "10.0.0.1, 203.0.113.9", OFFICE, "203.0.113.9"),
        (2, "10.0.0.1, 203.0.113.9, 10.0.0.2", OFFICE, "203.0.113.9"),
        (2, "203.0.113.9", OFFICE, OFFICE),
        (1, "nonsense", OFFICE, OFFICE),
        (1, "203.0.113.9,", OFFICE, OFFICE),
        (0, "", "", ""),
        (0, "", "unix:", ""),
        (0, "", "fe80::1%eth0", "fe80::1"),
        (0, "", "::ffff:192.0.2.1", "192.0.2.1"),
        (0, "", "2001:DB8::1", "2001:db8::1"),
    ],
)
def test_the_address_is_what_the_server_or_its_own_proxies_saw(
    settings: Any, proxies: int, forwarded: str, remote: str, address: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    request = RequestFactory().get("/", REMOTE_ADDR=remote, HTTP_X_FORWARDED_FOR=forwarded)
    assert client_ip(request) == address


# ---- Sessions


def test_signing_in_changes_the_session_key(owner: Any) -> None:
    client = Client()
    client.session.save()  # as another may have planted it
    planted = client.session.session_key
    client.cookies["sessionid"] = planted
    client.post(SIGN_IN, {"username": "owner", "password": PASSWORD})
    assert client.cookies["sessionid"].value != planted
    assert not Session.objects.filter(session_key=planted).exists()


def test_an_active_session_still_ends_at_its_maximum_age(owner: Any, clock: Any) -> None:
    client = browser("owner")
    for _ in range(13):
        clock.shift(timedelta(days=1))
        session = client.session
        session["busy"] = True
        session.save()  # which by itself would make it live on
        assert is_in(client)
    clock.move_to(NOW + timedelta(days=14) - timedelta(seconds=1))
    assert is_in(client)
    clock.move_to(NOW + timedelta(days=14))
    assert not is_in(client)


def test_a_shorter_maximum_age_applies_to_existing_sessions(owner: Any, clock: Any, settings: Any) -> None:
    client = browser("owner")
    clock.shift(timedelta(hours=2))
    assert is_in(client)
    settings.SESSION_COOKIE_AGE = 3600
    assert not is_in(client)


def test_a_session_without_a_sign_in_time_has_expired(owner: Any) -> None:
    client = browser("owner")
    session = client.session
    del session["signed_in_at"]
    session.save()
    assert not is_in(client)


def test_an_expired_session_loads_the_whole_sign_in_page(owner: Any, project: Any, clock: Any) -> None:
    client = browser("owner")
    clock.shift(timedelta(days=15))
    response = client.get(reverse("ai-cost-tabs", args=[project.pk]), HTTP_HX_REQUEST="true")
    assert response["HX-Redirect"].startswith(SIGN_IN)


def test_an_expired_session_calls_no_procedure(owner: Any, project: Any, clock: Any) -> None:
    client = browser("owner")
    address = "/api/trpc/aiCost.getCrossProjectSummary"
    assert client.get(address).status_code == 200
    clock.shift(timedelta(days=15))
    assert client.get(address).status_code == 401


def test_a_user_can_end_their_other_sessions_only(owner: Any, viewer: Any) -> None:
    here, there, elsewhere, others = (*(browser("owner") for _ in range(3)), browser("viewer"))
    response = here.post(reverse("end-sessions"), follow=True)
    assert "2 other sessions ended." in text(response)
    assert [is_in(one) for one in (here, there, elsewhere, others)] == [True, False, False, True]
    assert "There was no other session." in text(here.post(reverse("end-sessions"), follow=True))
    noted = AuditEntry.objects.filter(kind=Kind.SESSIONS_ENDED, about=owner).order_by("pk")
    assert [one.detail for one in noted] == ["2 ended", "0 ended"]


def test_links_and_forms_of_other_sites_end_no_session(owner: Any) -> None:
    there = browser("owner")
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    assert client.post(reverse("end-sessions")).status_code == 403
    assert client.get(reverse("end-sessions")).status_code == 405
    assert is_in(there)


def test_users_see_only_their_own_sign_ins(owner: Any, viewer: Any) -> None:
    sign_in("viewer", "wrong", address=HOME)
    client = browser("viewer")
    browser("owner")
    page = text(client.get(reverse("security"))).split("<tbody>")[1]
    assert page.count("<tr>") == 2
    assert page.index("signed in") < page.index("sign-in failed")
    assert HOME in page
    assert "owner" not in page
    assert Client().get(reverse("security")).status_code == 302


# ---- The password


def change(client: Client, **typed_fields: str) -> Any:
    form = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW, **typed_fields}
    return client.post(reverse("password"), form)


def test_a_new_password_ends_every_other_session(owner: Any, viewer: Any) -> None:
    here, there, others = browser("owner"), browser("owner"), browser("viewer")
    key = here.cookies["sessionid"].value
    response = change(here)
    assert response["Location"] == reverse("security")
    assert "Your other sessions have ended." in text(here.get(reverse("security")))
    assert [is_in(one) for one in (here, there, others)] == [True, False, True]
    assert here.cookies["sessionid"].value != key
    assert sign_in("owner").status_code == 200
    assert sign_in("owner", NEW).status_code == 302
    noted = AuditEntry.objects.get(kind=Kind.PASSWORD_CHANGED)
    assert (noted.who, noted.about, noted.address) == (owner, owner, OFFICE)


def test_a_new_password_does_not_prolong_the_session(owner: Any, clock: Any) -> None:
    client = browser("owner")
    clock.shift(timedelta(days=13))
    change(client)
    assert is_in(client)
    clock.shift(timedelta(days=1))
    assert not is_in(client)


@pytest.mark.parametrize(
    ("typed_fields", "said"),
    [
        ({"old_password": "wrong"}, "entered incorrectly"),
        ({"new_password2": "other"}, "didn’t match"),
        ({"new_password1": "password", "new_password2": "password"}, "too common"),
        ({"new_password1": "x1", "new_password2": "x1"}, "too short"),
        ({"new_password1": ""}, "required"),
    ],
)
def test_what_is_wrong_with_it_is_said_and_nothing_is_changed(
    owner: Any, typed_fields: dict[str, str], said: str
) -> None:
    client = browser("owner")
    response = change(client, **typed_fields)
    assert response.status_code == 422
    assert said in re.search(r'<p class="error".*?</p>', text(response), re.DOTALL)[0]
    assert get_user_model().objects.get(pk=owner.pk).check_password(PASSWORD)
    assert not AuditEntry.objects.filter(kind=Kind.PASSWORD_CHANGED).exists()
    for typed in typed_fields.values():
        assert f'value="{typed}"' not in text(response)


def test_guessing_the_password_on_the_password_page_signs_out(owner: Any) -> None:
    client = browser("owner")
    for _ in range(TRIES - 1):
        assert change(client, old_password="guess").status_code == 422
    assert change(client, old_password="guess")["Location"] == SIGN_IN
    assert not is_in(client)
    assert AuditEntry.objects.get(kind=Kind.SIGN_IN_FAILED).times == TRIES
    assert sign_in("owner").status_code == 302


def test_the_admin_links_to_the_same_password_page(superuser: Any) -> None:
    client = browser("superuser")
    assert client.get("/admin/password_change/")["Location"] == reverse("password")


def test_anonymous_visitors_are_redirected_to_sign_in(client: Client) -> None:
    for name in ("security", "password"):
        assert client.get(reverse(name))["Location"].startswith(SIGN_IN)
    assert change(client)["Location"].startswith(SIGN_IN)


def test_the_sidebar_links_to_security(owner: Any) -> None:
    client = browser("owner")
    assert f'href="{reverse("security")}"' in text(client.get("/"))
    for name in ("security", "password"):
        assert f'href="{reverse("security")}" aria-current="page"' in text(client.get(reverse(name)))
