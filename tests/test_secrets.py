"""A stolen copy of the database contains no password, API token or webhook secret."""

import hashlib
import re
from base64 import urlsafe_b64decode
from html import unescape
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from billing.alerts import channels, outbox
from products import tokens
from products.models import Project
from tests.dump import everything
from tests.factories import PASSWORD, usage

pytestmark = pytest.mark.django_db

WRITTEN = re.compile(r"aicost_[A-Za-z0-9_-]{43}")


@pytest.fixture
def secrets(project: Project, owner: Any) -> dict[str, str]:
    """Secrets, created in every possible way and used once."""
    usage(project)
    browser = Client()
    browser.force_login(owner)
    channels.change(
        project, thresholds=[80], email_people=True, email_more=[], webhook_url="https://hooks.example.com/x"
    )
    outbox.queue_test(project, "webhook")
    page = unescape(browser.post(reverse("alert-secret", args=[project.pk])).content.decode())
    secret = channels.signing_secret(project)
    assert secret in page
    made = {scope: tokens.issue(owner, project=project, scope=scope)[1] for scope in ("read", "ingest")}
    form = {"name": "mine", "scope": "write", "lifetime": "30", "newest": "9" * 10}
    [made["write"]] = set(WRITTEN.findall(browser.post(reverse("tokens"), form).content.decode()))
    Client(headers={"Authorization": f"Bearer {made['read']}"}).get("/api/trpc/aiCost.getCrossProjectSummary")
    return {"password": PASSWORD, "webhook secret": secret, **made}


def test_a_dump_contains_no_usable_secret(secrets: dict[str, str]) -> None:
    dump = repr(everything())
    assert "hooks.example.com" in dump
    for what, text in secrets.items():
        for form in forms(text):
            assert form not in dump, what


def forms(text: str) -> set[str]:
    """The text itself and in other encodings."""
    raw = text.encode()
    found = {text, raw.hex(), repr(raw)[2:-1]}
    if text.startswith("aicost_"):
        secret = urlsafe_b64decode(text.removeprefix("aicost_") + "=")
        found |= {text.removeprefix("aicost_"), secret.hex(), repr(secret)[2:-1]}
    return found


def test_a_dump_has_only_the_hash_of_a_token(secrets: dict[str, str]) -> None:
    secret = urlsafe_b64decode(secrets["read"].removeprefix("aicost_") + "=")
    stored = hashlib.sha256(secret).hexdigest()
    assert stored in repr(everything())
    assert tokens.find(stored) is tokens.find(f"aicost_{stored}") is None


def test_the_webhook_secret_cannot_be_derived_without_the_secret_key(project: Project, settings: Any) -> None:
    before = channels.signing_secret(project)
    settings.SECRET_KEY = "another"
    assert channels.signing_secret(project) != before


def test_a_session_key_in_a_dump_works_until_the_session_ends(secrets: dict[str, str]) -> None:
    """The only usable secret in a dump, as SECURITY.md says. Signing out ends it."""
    key = Session.objects.get().session_key
    thief = Client(headers={"Cookie": f"sessionid={key}"})
    assert thief.get("/").status_code == 200
    thief.post(reverse("sign-out"))
    assert not Session.objects.exists()


def test_no_log_contains_a_secret(secrets: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    for text in secrets.values():
        assert text not in caplog.text
