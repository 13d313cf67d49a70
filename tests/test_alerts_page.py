"""The page of a product's alerts: who sees what, what may be changed, tests, and sending again."""

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail as django_mail
from django.db import connection
from django.test import Client, TestCase
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from billing.alerts import channels, outbox
from billing.budgets import limits
from billing.models.alerts import AlertDelivery, AlertSettings
from tests.factories import usage
from tests.receivers import Receiver

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock"), pytest.mark.once]

SECRET_URL = "https://hooks.example.com/services/T000/secret-part"


@pytest.fixture(autouse=True)
def mail_server(settings: Any) -> None:
    """One that takes everything: what is sent stands in `django.core.mail.outbox`."""
    settings.EMAIL_URL = "smtp://mail.example.com"


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    receiver = Receiver()
    receiver.start()
    yield receiver
    receiver.stop()


def signed_in(person: Any, **how: Any) -> Client:
    client = Client(**how)
    client.force_login(person)
    return client


def url(project: Any, name: str = "alerts", *more: Any) -> str:
    return reverse(name, args=[project.pk, *more])


def text(response: Any) -> str:
    return unescape(response.content.decode())


def shown_to(person: Any, project: Any, query: str = "") -> str:
    return text(signed_in(person).get(url(project) + query))


def form(**fields: Any) -> dict[str, str]:
    return {"thresholds": "80, 100", "email_people": "on", "email_more": "", "webhook_url": "", **fields}


def choose(project: Any, **chosen: Any) -> None:
    fields = {"thresholds": [80, 100], "email_people": True, "email_more": [], "webhook_url": "", **chosen}
    channels.change(project, **fields)


def cross(project: Any, dollars: str = "80") -> None:
    with TestCase.captureOnCommitCallbacks(execute=True):
        limits.set_limit(project, Decimal(100), by=project.owner)
    with TestCase.captureOnCommitCallbacks(execute=True):
        usage(project, costDollars=dollars)


def actions(project: Any) -> list[str]:
    """Every address that only takes a POST."""
    [delivery] = outbox.queue_test(project, "webhook")
    return [
        url(project),
        url(project, "alert-secret"),
        url(project, "alert-test", "email"),
        url(project, "alert-test", "webhook"),
        url(project, "alert-send-again", delivery.pk),
    ]


# ---- Who may do what


def test_who_may_not_change_a_product_changes_no_alerts(
    project: Any, viewer: Any, superuser: Any, stranger: Any, staff: Any
) -> None:
    choose(project, webhook_url=SECRET_URL)
    for address in actions(project):
        for person, status in ((viewer, 403), (superuser, 403), (stranger, 404), (staff, 404)):
            assert signed_in(person).post(address, form(thresholds="50")).status_code == status
    assert channels.chosen(project).percents == [80, 100]
    assert set(AlertDelivery.objects.values_list("state", flat=True)) == {"pending"}
    assert django_mail.outbox == []


def test_strangers_get_what_a_missing_product_gives(project: Any, stranger: Any) -> None:
    choose(project, webhook_url=SECRET_URL)
    for address in actions(project):
        missing = address.replace(f"/{project.pk}/", "/999999/", 1)
        theirs, none = (signed_in(stranger).post(one) for one in (address, missing))
        assert theirs.status_code == none.status_code == 404
        assert theirs.content == none.content


def test_a_delivery_of_another_product_is_not_found(
    project: Any, other_project: Any, owner: Any, stranger: Any
) -> None:
    [theirs] = outbox.queue_test(other_project, "email")
    client = signed_in(owner)
    for unknown in (theirs.pk, uuid4()):
        assert client.post(url(project, "alert-send-again", unknown)).status_code == 404
    theirs.refresh_from_db()
    assert theirs.attempts == 0


def test_the_buttons_need_a_post_and_its_csrf_token(project: Any, owner: Any) -> None:
    choose(project, webhook_url=SECRET_URL)
    strict = signed_in(owner, enforce_csrf_checks=True)
    for address in actions(project):
        assert strict.post(address).status_code == 403
    for address in actions(project)[2:]:
        assert signed_in(owner).get(address).status_code == 405


def test_a_viewer_reads_neither_addresses_nor_what_is_secret(
    project: Any, owner: Any, manager: Any, viewer: Any, superuser: Any
) -> None:
    choose(project, webhook_url=SECRET_URL, email_more=["finance@example.com", viewer.email])
    cross(project)
    outbox.send_due()
    for person in (viewer, superuser):
        page = shown_to(person, project)
        assert "80\u00a0%" in page
        assert "hooks.example.com" in page
        assert "4 addresses" in page
        assert "80\u00a0% of March 2026" in page
        for hidden in ("secret-part", "finance@", owner.email, manager.email, "<textarea", "signing secret"):
            assert hidden not in page
    assert viewer.email in shown_to(viewer, project)
    for person in (owner, manager):
        page = shown_to(person, project)
        for seen in ("secret-part", "finance@example.com", owner.email, manager.email):
            assert seen in page


def test_the_signing_secret_is_shown_when_asked_for(project: Any, owner: Any, manager: Any) -> None:
    secret = channels.signing_secret(project)
    for person in (owner, manager):
        assert secret not in shown_to(person, project)
        response = signed_in(person).post(url(project, "alert-secret"))
        assert secret in text(response)
        assert "no-store" in response["Cache-Control"]
        assert signed_in(person).get(url(project, "alert-secret"))["Location"] == url(project)


# ---- Choosing


def test_what_is_chosen_is_saved_and_shown(project: Any, manager: Any) -> None:
    fields = form(
        thresholds="120 %, 50,90",
        email_more="a@example.com, b@example.com\r\nA@example.com",
        webhook_url=SECRET_URL,
    )
    client = signed_in(manager)
    page = text(client.post(url(project), fields, follow=True))
    assert "The alerts have been saved." in page
    stored = AlertSettings.objects.get()
    assert stored.percents == [50, 90, 120]
    assert stored.email_people
    assert [one.casefold() for one in stored.more_addresses] == ["a@example.com", "b@example.com"]
    assert stored.webhook_url == SECRET_URL
    assert 'value="50, 90, 120"' in page
    del fields["email_people"]
    client.post(url(project), fields)
    assert not AlertSettings.objects.get().email_people


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        *(
            ("thresholds", wrong)
            for wrong in ("", "0", "1001", "80.5", "eighty", "-80", ",", "8०", "9" * 300)
        ),
        ("thresholds", ",".join(str(n) for n in range(1, 12))),
        *(("email_more", wrong) for wrong in ("nobody", "a@example.com <b@example.com>", "a@b@c.de")),
        ("email_more", "\n".join(f"person-{n}@example.com" for n in range(21))),
        *(
            ("webhook_url", wrong)
            for wrong in ("http://example.com/", "example.com", "https://u:p@example.com/")
        ),
    ],
)
def test_what_is_wrong_is_explained_and_kept(project: Any, owner: Any, field: str, typed: str) -> None:
    response = signed_in(owner).post(url(project), form(**{field: typed}))
    assert response.status_code == 422
    body = response.content.decode()
    widget = re.search(rf'<(?:input|textarea) [^>]*name="{field}"[^>]*>', body)
    assert widget
    assert 'aria-invalid="true"' in widget[0]
    assert typed in unescape(body)
    assert not AlertSettings.objects.exists()


def test_a_changed_threshold_is_evaluated_when_saved(project: Any, owner: Any) -> None:
    cross(project, "60")
    with TestCase.captureOnCommitCallbacks(execute=True):
        signed_in(owner).post(url(project), form(thresholds="50, 100"))
    assert "passed" in shown_to(owner, project)
    assert AlertDelivery.objects.count() == 2


# ---- What the page says


def test_the_month_says_which_thresholds_are_passed(project: Any, owner: Any) -> None:
    page = shown_to(owner, project)
    assert "No monthly limit is set" in page
    assert page.count("not reached") == 2
    cross(project, "85.5")
    page = shown_to(owner, project)
    assert "No monthly limit is set" not in page
    assert page.count("not reached") == 1
    assert "at $85.50 of $100.00" in page
    assert "17 Mar 2026, 12:00" in page


def test_a_channel_that_can_not_be_used_says_why(project: Any, owner: Any, settings: Any) -> None:
    settings.EMAIL_URL = ""
    page = shown_to(owner, project)
    assert "not configured" in page
    assert "EMAIL_URL" in page
    assert "No URL is set." in page
    assert "Send a test" not in page
    response = signed_in(owner).post(url(project, "alert-test", "email"), follow=True)
    assert "There are no recipients" in text(response)
    assert not AlertDelivery.objects.exists()


def test_times_are_in_the_billing_zone(project: Any, owner: Any) -> None:
    project.time_zone = "Europe/Berlin"
    project.save()
    cross(project)
    assert "17 Mar 2026, 13:00" in shown_to(owner, project)


def test_a_queue_that_nobody_works_off_says_so(project: Any, owner: Any, clock: Any) -> None:
    cross(project)
    assert "send_alerts" not in shown_to(owner, project)
    clock.shift(timedelta(minutes=6))
    assert "send_alerts does not seem to be running" in shown_to(owner, project)


def test_the_log_says_what_became_of_each_and_when_it_is_tried_again(
    project: Any, owner: Any, receiver: Receiver, clock: Any
) -> None:
    choose(project, email_people=False, webhook_url=receiver.url)
    receiver.answers = [503]
    cross(project)
    assert "queued" in shown_to(owner, project)
    outbox.send_due()
    page = shown_to(owner, project)
    assert "retrying" in page
    assert "It answered 503. Next attempt: 17 Mar 2026, 12:01." in page
    assert "secret answer" not in page
    clock.shift(timedelta(minutes=1))
    outbox.send_due()
    page = shown_to(owner, project)
    assert '<span class="status is-sent">sent</span>' in page
    assert "It answered 503" not in page


def test_the_log_has_pages(project: Any, owner: Any) -> None:
    for _ in range(30):
        outbox.queue_test(project, "email")  # to two people each
    first, second = shown_to(owner, project), shown_to(owner, project, "?page=2")
    assert (first.count('<th scope="row"'), second.count('<th scope="row"')) == (50, 10)
    assert 'href="?page=2"' in first
    assert 'href="?page=1"' in second
    assert "No older deliveries." in shown_to(owner, project, "?page=3")
    for wrong in ("0", "-1", "01", "x", "", "9" * 7):
        assert signed_in(owner).get(url(project), {"page": wrong}).status_code == 400


def test_the_page_asks_as_often_for_a_long_log(project: Any, viewer: Any) -> None:
    def queries() -> int:
        client = signed_in(viewer)
        with CaptureQueriesContext(connection) as counted:
            assert client.get(url(project)).status_code == 200
        return len(counted)

    cross(project)
    before = queries()
    for _ in range(20):
        outbox.queue_test(project, "email")
    # session, user, product; role, settings, log, limit, what stands, people
    assert queries() == before <= 9


def test_a_hostile_name_is_only_text(project: Any, owner: Any) -> None:
    project.name = "<img src=x onerror=alert(1)>"
    project.save()
    cross(project)
    body = signed_in(owner).get(url(project)).content.decode()
    assert "<img" not in body


# ---- Tests, and sending again


def test_a_test_mail_goes_to_everybody_who_would_be_told(project: Any, owner: Any) -> None:
    choose(project, email_more=["finance@example.com"])
    page = text(signed_in(owner).post(url(project, "alert-test", "email"), follow=True))
    assert "Sent to 3 addresses." in page
    assert sorted(one for message in django_mail.outbox for one in message.to) == [
        *("finance@example.com", "manager@example.com", "owner@example.com")
    ]
    assert {message.subject for message in django_mail.outbox} == {"Lighthouse: a test of the budget alerts"}
    assert "Test" in page


def test_a_test_webhook_that_fails_says_why(project: Any, owner: Any, receiver: Receiver) -> None:
    choose(project, webhook_url=receiver.url)
    client = signed_in(owner)
    receiver.answers = [410]
    page = text(client.post(url(project, "alert-test", "webhook"), follow=True))
    assert "Not sent. It answered 410." in page
    assert "secret answer" not in page
    assert AlertDelivery.objects.get().state == "failed"
    page = text(client.post(url(project, "alert-test", "webhook"), follow=True))
    assert ">Sent.<" in page.replace("</svg>", ">")
    assert django_mail.outbox == []


def test_what_was_given_up_is_sent_again(project: Any, owner: Any, receiver: Receiver) -> None:
    choose(project, email_people=False, webhook_url=receiver.url)
    cross(project)
    AlertDelivery.objects.update(state="failed", error="It answered 500.", attempts=15)
    delivery = AlertDelivery.objects.get()
    client = signed_in(owner)
    assert "Send again" in text(client.get(url(project)))
    client.post(url(project, "alert-send-again", delivery.pk))
    delivery.refresh_from_db()
    assert (delivery.state, delivery.error, delivery.attempts) == ("sent", "", 16)
    assert [call.headers["x-aicost-delivery"] for call in receiver.calls] == [str(delivery.pk)]


def test_what_waits_for_its_next_attempt_is_sent_now_and_goes_on_if_it_fails(
    project: Any, owner: Any, receiver: Receiver
) -> None:
    choose(project, email_people=False, webhook_url=receiver.url)
    receiver.answers = [500, 500]
    cross(project)
    outbox.send_due()
    client = signed_in(owner)
    assert "Send now" in text(client.get(url(project)))
    delivery = AlertDelivery.objects.get()
    page = text(client.post(url(project, "alert-send-again", delivery.pk), follow=True))
    assert "Not sent. It answered 500." in page
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("pending", 2)
    assert delivery.due_at == timezone.now() + outbox.PAUSES[0]


def test_what_is_being_sent_is_left_alone(project: Any, owner: Any, receiver: Receiver) -> None:
    choose(project, email_people=False, webhook_url=receiver.url)
    cross(project)
    AlertDelivery.objects.update(state="sending", due_at=timezone.now() + outbox.LEASE)
    client = signed_in(owner)
    assert "Send now" not in text(client.get(url(project)))
    client.post(url(project, "alert-send-again", AlertDelivery.objects.get().pk))
    assert receiver.calls == []


def test_an_unknown_channel_is_not_found(project: Any, owner: Any) -> None:
    assert signed_in(owner).post(url(project, "alert-test", "pigeon")).status_code == 404


def test_the_budget_page_leads_to_the_alerts(project: Any, viewer: Any) -> None:
    page = text(signed_in(viewer).get(url(project, "budget")))
    assert page.count(f'href="{url(project)}"') == 2  # the sidebar's, and its own


def test_a_second_crossing_is_told_apart(project: Any, owner: Any) -> None:
    cross(project)
    for kind in ("refund", "deduction"):
        with TestCase.captureOnCommitCallbacks(execute=True):
            usage(project, kind=kind, jobId="job-1", costDollars="10")
    page = shown_to(owner, project)
    assert "80\u00a0% of March 2026, crossing 2" in page
    assert "crossing 2 of this month" in page
