"""Who gets what at every URL: every kind of caller requests every URL in a table.

`tests/test_authentication.py` does the same for procedures, and fails for a procedure that its table lacks.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from django.urls import reverse

from billing.models import Lookalike
from billing.models.alerts import AlertDelivery, AlertSettings
from products import tokens
from products.models import ApiToken, Membership, Project
from products.models.audit import AuditEntry
from tests import every_url as every
from tests.conftest import NOW
from tests.dump import everything
from tests.factories import ProjectFactory, fields, usage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock"), pytest.mark.once]

ROOT = Path(__file__).resolve().parents[1]
SIGN_IN, SEEN, FORBIDDEN, NOT_FOUND = 302, 200, 403, 404

PEOPLE = {
    "nobody": (SIGN_IN, SIGN_IN),
    "stranger": (NOT_FOUND, NOT_FOUND),
    "staff": (NOT_FOUND, NOT_FOUND),
    "removed": (NOT_FOUND, NOT_FOUND),
    "inactive": (SIGN_IN, SIGN_IN),  # the owner
    "viewer": (SEEN, FORBIDDEN),
    "superuser": (SEEN, FORBIDDEN),
    "manager": (SEEN, "done"),
    "owner": (SEEN, "done"),
}
"""The status for a page of the product, and for submitting a form."""


@pytest.fixture(autouse=True)
def _quiet(settings: Any) -> None:
    cache.clear()
    settings.METRICS_TOKEN = "scrape"


@pytest.fixture
def used(project: Project) -> Project:
    """A product with usage, a webhook that is never called, and a possible double count."""
    usage(project, runId="run-1", agentType="testing")
    pair = {"outer": "1", "inner": "2", "sender_a": "a", "sender_b": "b", "margin": 1, "nanos": 1}
    Lookalike.objects.create(project=project, day=NOW.date(), **pair)
    AlertSettings.objects.create(project=project, email_people=False, webhook_url="https://127.0.0.1/hook")
    project.refresh_from_db()
    return project


Browsers = Callable[[str], Client]


@pytest.fixture
def browser_of(
    used: Project, owner: Any, manager: Any, viewer: Any, stranger: Any, staff: Any, superuser: Any
) -> Browsers:
    """Signs a user in, then applies the change that the name describes."""
    people = {user.username: user for user in (owner, manager, viewer, stranger, staff, superuser)}

    def browser(who: str) -> Client:
        client = Client()
        person = people.get({"removed": "manager", "inactive": "owner"}.get(who, who))
        if person:
            client.force_login(person)
        if who == "removed":
            Membership.objects.filter(user=manager).delete()
        if who == "inactive":
            owner.is_active = False
            owner.save()
        return client

    return browser


@contextmanager
def undone() -> Iterator[None]:
    """Roll back whatever happens inside."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def comparable(response: Any) -> tuple[int, bytes, dict[str, str]]:
    """The response, without what differs from one request to the next."""
    headers = {key: value for key, value in response.headers.items() if key != "X-Request-ID"}
    body = b"".join(response.streaming_content) if response.streaming else response.content
    return response.status_code, body, headers


# ---- The table


def test_the_table_covers_every_url() -> None:
    names = {name for name in every.names() if not name.startswith("admin:")}
    of_products = (every.PAGES, every.OF_MANAGERS, every.OVERSIGHT, every.CHANGES)
    of_people = (every.OWN, every.OWN_CHANGES, every.INTAKE, every.CALLS, every.OPEN, every.REDIRECTS)
    groups = (*of_products, *of_people)
    assert names == {name for group in groups for name in group}
    assert not {name for name in names if name.startswith("unnamed")}


@pytest.mark.parametrize("name", every.PAGES)
def test_pages_are_for_those_who_may_see_the_product(used: Project, browser_of: Browsers, name: str) -> None:
    address = every.page_of(used.pk, name)
    for who, (expected, _) in PEOPLE.items():
        with undone():
            response = browser_of(who).get(address)
        assert response.status_code == expected, who
        if expected == SIGN_IN:
            assert response["Location"].startswith(reverse("sign-in"))


@pytest.mark.parametrize("name", every.OF_MANAGERS)
def test_pages_of_managers_are_not_for_viewers(used: Project, browser_of: Browsers, name: str) -> None:
    address = every.page_of(used.pk, name)
    for who, (page, _) in PEOPLE.items():
        with undone():
            response = browser_of(who).get(address)
        assert response.status_code == (FORBIDDEN if who == "viewer" else page), who


@pytest.mark.parametrize("name", every.OVERSIGHT)
def test_the_audit_log_is_for_the_owner(used: Project, browser_of: Browsers, name: str) -> None:
    address = every.page_of(used.pk, name)
    for who, (page, _) in PEOPLE.items():
        with undone():
            response = browser_of(who).get(address)
        assert response.status_code == (FORBIDDEN if who in ("viewer", "manager") else page), who


@pytest.mark.parametrize("name", every.CHANGES)
def test_forms_are_for_owner_and_managers_and_change_nothing_for_others(
    used: Project, browser_of: Browsers, name: str
) -> None:
    form, address = every.CHANGES[name], every.change_of(used, name)
    for who, (_, expected) in PEOPLE.items():
        with undone():
            client = browser_of(who)
            before = _but_for_the_record(everything())
            response = client.post(address, form.data, headers=form.headers)
            changed = _but_for_the_record(everything()) != before
        if expected == "done":
            assert (response.status_code, changed) == (form.status, name not in every.CHANGE_NOTHING), who
        else:
            # For htmx, the redirect to the sign-in is a header.
            status = SIGN_IN if "HX-Redirect" in response else response.status_code
            assert (status, changed) == (expected, False), who


@pytest.mark.parametrize("name", sorted({*every.PAGES, *every.CHANGES}))
def test_no_http_method_reveals_a_product_to_a_stranger(
    used: Project, browser_of: Browsers, name: str
) -> None:
    client = browser_of("stranger")
    there, not_there = (
        every.page_of(pk, name) if name in every.PAGES else every.change_of(used, name, pk)
        for pk in (used.pk, 999_999)
    )
    statuses = {}
    for method in ("get", "head", "options", "post", "put", "patch", "delete"):
        theirs = getattr(client, method)(there)
        assert comparable(theirs) == comparable(getattr(client, method)(not_there))
        statuses[method] = theirs.status_code
    # A wrong method is refused before the product is looked up, so for every product.
    assert {statuses["put"], statuses["patch"], statuses["delete"], statuses["options"]} == {405}
    assert set(statuses.values()) == {404, 405}


@pytest.mark.parametrize("table", every.EXPORTS)
@pytest.mark.parametrize("form", ["csv", "json"])
def test_strangers_get_no_export(used: Project, browser_of: Browsers, table: str, form: str) -> None:
    client = browser_of("stranger")
    there, not_there = (client.get(reverse("export", args=[pk, table, form])) for pk in (used.pk, 999_999))
    assert comparable(there) == comparable(not_there)
    assert there.status_code == NOT_FOUND


@pytest.mark.parametrize("name", every.OWN)
def test_personal_pages_show_nothing_of_others(browser_of: Browsers, name: str) -> None:
    address = reverse(name, args=every.OWN[name])
    for who in ("stranger", "staff", "removed"):
        response = browser_of(who).get(address)
        assert response.status_code == SEEN
        assert b"Lighthouse" not in response.content
    for who in ("nobody", "inactive"):
        assert browser_of(who).get(address).status_code == SIGN_IN


def test_a_token_of_someone_else_is_answered_like_a_missing_one(owner: Any, browser_of: Browsers) -> None:
    token, _ = tokens.issue(owner)
    for who in ("stranger", "staff", "superuser"):
        client = browser_of(who)
        there, not_there = (client.post(reverse("revoke-token", args=[pk])) for pk in (token.pk, 999_999))
        assert comparable(there) == comparable(not_there)
        assert there.status_code == NOT_FOUND
    assert Client().post(reverse("revoke-token", args=[token.pk])).status_code == SIGN_IN
    token.refresh_from_db()
    assert token.revoked_at is None


def test_objects_of_one_product_are_not_found_under_another(
    used: Project, browser_of: Browsers, owner: Any
) -> None:
    """Not even if the user may change both."""
    lantern = ProjectFactory(name="Lantern", owner=owner)
    client = browser_of("owner")
    assert client.get(reverse("run", args=[lantern.pk, "run-1"])).status_code == NOT_FOUND
    again = every.change_of(used, "alert-send-again", lantern.pk)
    before = list(AlertDelivery.objects.values())
    assert client.post(again).status_code == NOT_FOUND
    assert list(AlertDelivery.objects.values()) == before


@pytest.mark.parametrize("scope", ["read", "write", "ingest"])
def test_tokens_do_not_authenticate_pages(used: Project, owner: Any, scope: str) -> None:
    _, text = tokens.issue(owner, scope=scope, project=used)
    client = Client(headers={"Authorization": f"Bearer {text}"})
    addresses = [every.page_of(used.pk, name) for name in every.PAGES]
    addresses += [every.change_of(used, name) for name in every.CHANGES]
    addresses += [reverse(name, args=args) for name, args in every.OWN.items()]
    for address in addresses:
        assert client.get(address).status_code == client.post(address).status_code == SIGN_IN


def test_health_and_metrics_reveal_nothing_about_products(used: Project) -> None:
    for name in ("healthz", "readyz"):
        assert Client().get(reverse(name)).content in (b"ok\n", b"ready\n")
    assert Client().get(reverse("metrics")).status_code == 401
    metrics = Client(headers={"Authorization": "Bearer scrape"}).get(reverse("metrics"))
    assert metrics.status_code == 200
    assert b"Lighthouse" not in metrics.content


# ---- Sending usage


INTO = {
    "": 401,
    "session of owner": 401,
    "read token of owner": 403,
    "write token of owner": 403,
    "ingest token of viewer": 403,
    "ingest token of owner": "done",
    "ingest token of manager": "done",
    "ingest token of owner, revoked": 401,
    "ingest token of owner, expired": 401,
    "ingest token of owner, inactive": 401,
    "ingest token of manager, removed": 404,
    "ingest token of manager, demoted": 403,
    "ingest token of owner, archived": 403,
}


@pytest.mark.parametrize("endpoint", every.INTAKE)
def test_usage_needs_a_valid_ingest_token(
    used: Project, owner: Any, manager: Any, viewer: Any, endpoint: str
) -> None:
    people = {"owner": owner, "manager": manager, "viewer": viewer}
    for means, expected in INTO.items():
        with undone():
            client = _sender(used, people, *means.partition(", ")[::2])
            before = _but_for_uses(everything())
            response = client.post(every.INTAKE[endpoint], SENT[endpoint], content_type="application/json")
            changed = _but_for_uses(everything()) != before
        if expected == "done":
            assert (response.status_code, changed) == (200, SENT[endpoint] != NO_CALLS), means
        else:
            assert (response.status_code, changed) == (expected, False), means
            assert response.headers["Content-Type"] == "application/json"


NO_CALLS = json.dumps({"resourceSpans": [{}]})
API_REQUEST = {
    "timeUnixNano": str(int(NOW.timestamp()) * 10**9),
    "body": {"stringValue": "claude_code.api_request"},
    "attributes": [
        {"key": "session.id", "value": {"stringValue": "session-1"}},
        {"key": "cost_usd", "value": {"doubleValue": 0.5}},
    ],
}
SENT = {
    "usage": json.dumps(fields()),
    "litellm": json.dumps(
        [{"id": "call-1", "call_type": "completion", "response_cost": 1, "startTime": 1.7e9}]
    ),
    "traces": NO_CALLS,
    "logs": json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [API_REQUEST]}]}]}),
}


def _sender(project: Project, people: dict[str, Any], means: str, fate: str) -> Client:
    kind, _, who = means.partition(" of ")
    client = Client()
    if kind == "session":
        client.force_login(people[who])
    if "token" not in kind:
        return client
    Membership.objects.filter(user=people["viewer"]).update(role="manager")  # while the token is created
    token, text = tokens.issue(
        people[who], scope=kind.split()[0], project=project, expires_at=NOW + timedelta(hours=1)
    )
    Membership.objects.filter(user=people["viewer"]).update(role="viewer")
    _befall(token, people[who], fate)
    return Client(headers={"Authorization": f"Bearer {text}"})


def _befall(token: ApiToken, user: Any, fate: str) -> None:
    match fate:
        case "revoked":
            tokens.revoke(token)
        case "expired":
            ApiToken.objects.update(expires_at=NOW)
        case "inactive":
            type(user).objects.filter(pk=user.pk).update(is_active=False)
        case "removed":
            Membership.objects.filter(user=user).delete()
        case "demoted":
            Membership.objects.filter(user=user).update(role="viewer")
        case "archived":
            Project.objects.update(archived_at=NOW)
        case _:
            assert not fate


def _but_for_uses(tables: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Without `last_used_at`, which is updated even by a refused request."""
    return {
        name: rows for name, rows in _but_for_the_record(tables).items() if name != ApiToken._meta.db_table
    }


def _but_for_the_record(tables: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Without the audit entries of denials."""
    return {name: rows for name, rows in tables.items() if name != AuditEntry._meta.db_table}


# ---- The admin


OF_EVERYBODY = {"admin:login", "admin:logout"}
OF_STAFF = {
    *OF_EVERYBODY,
    "admin:index",
    "admin:password_change",
    "admin:password_change_done",
    "admin:jsi18n",
}


@pytest.mark.parametrize("who", ["nobody", "owner"])
def test_the_admin_is_for_staff(used: Project, browser_of: Browsers, who: str) -> None:
    client = browser_of(who)
    addresses = every.of_the_admin()
    assert len(addresses) > 50
    for name, address in addresses.items():
        if name in (*OF_EVERYBODY, "admin:password_change"):
            continue
        response = client.get(address)
        assert response.status_code == 302, name
        assert response["Location"].startswith((reverse("admin:login"), reverse("sign-in"))), name


def test_staff_without_permissions_see_nothing_in_the_admin(used: Project, browser_of: Browsers) -> None:
    """Permissions are Django's. Outside the admin, staff are strangers; see the tables above."""
    client = browser_of("staff")
    for name, address in every.of_the_admin().items():
        if name == "admin:logout":
            continue
        response = client.get(address)
        # 302: a missing object redirects to the index, and the sign-in page redirects signed-in users.
        assert response.status_code in ((200, 302) if name in OF_STAFF else (302, 403, 404)), name
        assert b"Lighthouse" not in response.content


@pytest.mark.once
def test_each_staff_permission_opens_only_its_own_model(
    used: Project, browser_of: Browsers, staff: Any
) -> None:
    from django.contrib.auth.models import Permission

    client = browser_of("staff")
    for model in django_admin.site._registry:
        codename = f"view_{model._meta.model_name}"
        staff.user_permissions.set(Permission.objects.filter(codename=codename))
        opened = {
            other
            for other in django_admin.site._registry
            if client.get(reverse(f"admin:{other._meta.app_label}_{other._meta.model_name}_changelist"))
            .status_code == 200
        }  # fmt: skip
        assert opened == {model}
        assert client.get(every.page_of(used.pk, "ai-cost")).status_code == NOT_FOUND


# ---- The only ways to a product


def test_web_code_queries_products_only_by_visibility() -> None:
    """Only `project_for`, `visible_to` and `owned_by` may look up products."""
    asking = re.compile(r"\bProject\.(?:_default_manager|objects)\.(\w+)")
    shown = [
        path
        for path in (ROOT / "aicost").rglob("*.py")
        # The demo creates products in its own database; `denials` records refusals.
        if path.name not in ("demo.py", "denials.py")
    ]
    ways = {way for path in shown for way in asking.findall(path.read_text())}
    assert ways <= {"visible_to", "owned_by"}


def test_a_changed_password_ends_the_sessions(used: Project, owner: Any) -> None:
    client = Client()
    client.force_login(owner)
    owner.set_password("another one entirely")
    owner.save()
    assert client.get(every.page_of(used.pk, "ai-cost")).status_code == SIGN_IN
