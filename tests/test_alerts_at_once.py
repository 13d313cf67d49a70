"""Concurrent processes of writers and workers make one alert for each crossing."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from billing.alerts import crossings, outbox
from billing.budgets import limits
from billing.models.alerts import AlertDelivery, BudgetAlert
from tests.factories import ProjectFactory, UserFactory, usage
from tests.receivers import MailServer

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 120
"""Seconds after which a test fails because of a deadlock."""


def counts() -> list[int]:
    """SQLite has one writer at a time, and the others wait by polling."""
    return [8, 16] if os.environ.get("TEST_DATABASE_URL", "").startswith("postgres") else [4]


@pytest.fixture
def mail(settings: Any) -> Iterator[MailServer]:
    """A mail server that is down until a test starts it."""
    server = MailServer()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
    settings.EMAIL_URL = f"smtp://127.0.0.1:{server.port}"
    yield server
    server.stop()


def writers(number: int, project: Any, events: int) -> list[str]:
    """Start processes together, each sending that many events of a dollar; return what each recorded."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.alert_writer", str(project.pk), str(number), str(events)],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "AICOST_TEST_DATABASE": str(connection.settings_dict["NAME"]),
            "EMAIL_URL": "smtp://127.0.0.1:9",
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


@pytest.fixture
def product() -> Any:
    return ProjectFactory(owner=UserFactory(email="owner@example.com"))


@pytest.mark.parametrize("number", counts())
def test_concurrent_writers_that_cross_a_threshold_make_one_alert(product: Any, number: int) -> None:
    limits.set_limit(product, Decimal(number * 5), by=product.owner)
    assert writers(number, product, 5) == ["5"] * number
    first, second = BudgetAlert.objects.filter(project=product).order_by("threshold")
    assert [(one.threshold, one.crossing) for one in (first, second)] == [(80, 1), (100, 1)]
    assert second.notified
    messages = AlertDelivery.objects.filter(project=product)
    assert messages.filter(alert=second).count() == 1
    assert messages.filter(alert=first).count() == first.notified
    assert crossings.evaluate_all() == 0


def test_concurrent_workers_that_find_a_crossing_make_one_alert(
    product: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This is the state after a crash between the commit and its evaluation."""
    limits.set_limit(product, Decimal(10), by=product.owner)
    with monkeypatch.context() as patched:
        patched.setattr(crossings, "evaluate", lambda project: None)
        usage(product, costDollars="9", occurredAt=timezone.now().isoformat())
    assert not BudgetAlert.objects.exists()
    assert writers(4, product, 0) == ["0"] * 4
    assert [(one.threshold, one.crossing) for one in BudgetAlert.objects.all()] == [(80, 1)]
    assert AlertDelivery.objects.count() == 1


def send_at_once(senders: int) -> Counter[str]:
    """Run senders in threads; count the messages by resulting state."""
    start = Barrier(senders)

    def send() -> Counter[str]:
        try:
            start.wait(PATIENCE)
            return outbox.send_due()
        finally:
            connection.close()

    with ThreadPoolExecutor(senders) as pool:
        became = [future.result(PATIENCE) for future in [pool.submit(send) for _ in range(senders)]]
    return sum(became, Counter())


def test_with_the_mail_server_down_writers_make_one_mail_that_arrives_once(
    product: Any, mail: MailServer
) -> None:
    number = counts()[0]
    limits.set_limit(product, Decimal(number * 6), by=product.owner)
    assert writers(number, product, 5) == ["5"] * number
    for _ in range(3):
        assert send_at_once(4) == {"pending": 1}
        AlertDelivery.objects.update(due_at=timezone.now())  # its pause is over
    mail.start()
    assert send_at_once(4) == {"sent": 1}
    AlertDelivery.objects.update(due_at=timezone.now())
    assert send_at_once(4) == {}
    assert mail.recipients == ["owner@example.com"]
    delivery = AlertDelivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("sent", 4)
