"""Delivery of alerts by a real mail server and to a real receiver: down, broken, hostile, and up again."""

import hashlib
import hmac
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.test import TestCase
from django.utils import timezone

from billing.alerts import Undelivered, channels, outbox, safe_http, webhook
from billing.budgets import limits
from billing.models.alerts import AlertDelivery, BudgetAlert
from products.models import Membership
from tests.conftest import NOW, missing
from tests.factories import ProjectFactory, UserFactory, usage
from tests.receivers import MailServer, Receiver

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def mail(settings: Any) -> Iterator[MailServer]:
    """A running mail server that the product is configured to use."""
    server = MailServer()
    server.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
    settings.EMAIL_URL = f"smtp://127.0.0.1:{server.port}"
    settings.DEFAULT_FROM_EMAIL = "AI Cost <aicost@example.com>"
    yield server
    server.stop()


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    """A running receiver. It is on this machine, so private addresses must be allowed."""
    settings.WEBHOOK_ALLOW_PRIVATE = True
    receiver = Receiver()
    receiver.start()
    yield receiver
    receiver.stop()


@pytest.fixture
def acme(owner: Any) -> Any:
    return ProjectFactory(name="Acme", owner=owner)


def committed() -> Any:
    return TestCase.captureOnCommitCallbacks(execute=True)


def choose(project: Any, **chosen: Any) -> None:
    settings = {"thresholds": [80, 100], "email_people": True, "email_more": [], "webhook_url": "", **chosen}
    channels.change(project, **settings)


def cross(project: Any, dollars: str = "80", of: str = "100") -> BudgetAlert:
    with committed():
        limits.set_limit(project, Decimal(of), by=project.owner)
    with committed():
        usage(project, costDollars=dollars)
    return BudgetAlert.objects.filter(project=project, notified=True).latest("pk")


def sent() -> str:
    """The output of one run of the command."""
    out = StringIO()
    call_command("send_alerts", stdout=out)
    return out.getvalue().strip()


def only() -> AlertDelivery:
    return AlertDelivery.objects.get()


# ---- Email


def test_an_alert_is_mailed_to_each_person_separately(mail: MailServer, project: Any) -> None:
    cross(project)
    assert sent() == "2 sent"
    assert mail.recipients == ["manager@example.com", "owner@example.com"]
    assert {message["To"] for _, message in mail.taken} == set(mail.recipients)
    assert sent() == ""
    assert len(mail.taken) == 2


def test_a_mail_says_how_much_of_which_budget_is_spent(mail: MailServer, acme: Any, settings: Any) -> None:
    settings.SITE_URL = "https://aicost.example.com"
    cross(acme, "1084.5", of="1250")
    sent()
    [(_, message)] = mail.taken
    assert message["Subject"] == "Acme: 80 % of the March budget is spent"
    assert message["From"] == "AI Cost <aicost@example.com>"
    assert message["Message-ID"] == f"<{only().pk}@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain
    assert html
    for text in (plain.get_content(), html.get_content()):
        assert "$1,084.50 of $1,250.00 (86.7 %), $165.50 left." in text
        assert f"https://aicost.example.com/dashboard/products/{acme.pk}/ai-cost" in text
        assert "17 March 2026, 12:00 (UTC)" in text
        assert "has to last until 1 April" in text


def test_a_mail_without_a_site_url_links_nowhere(mail: MailServer, acme: Any) -> None:
    cross(acme)
    sent()
    [(_, message)] = mail.taken
    assert "http" not in message.get_body(("plain",)).get_content()
    assert "href" not in message.get_body(("html",)).get_content()


def test_a_mail_needs_nothing_from_outside(mail: MailServer, acme: Any, settings: Any) -> None:
    settings.SITE_URL = "https://aicost.example.com"
    cross(acme)
    sent()
    html = mail.taken[0][1].get_body(("html",)).get_content()
    for loading in ("<img", "<link", "<script", "url(", "@import", "src="):
        assert loading not in html


def test_a_hostile_name_neither_breaks_a_header_nor_becomes_html(mail: MailServer, owner: Any) -> None:
    name = "A\r\nBcc: victim@example.com\u202e<img src=x>" + "x" * 100
    cross(ProjectFactory(owner=owner, name=name))
    sent()
    [(recipient, message)] = mail.taken
    assert recipient == "owner@example.com"
    assert message["Bcc"] is None
    assert message["Subject"].strip().startswith("A Bcc: victim@example.com <img src=x>xxx")
    assert "\u202e" not in message["Subject"]
    html = message.get_body(("html",)).get_content()
    assert "<img" not in html
    assert "&lt;img src=x&gt;" in html


def test_with_the_mail_server_down_an_alert_is_retried_until_it_is_sent(
    mail: MailServer, acme: Any, clock: Any
) -> None:
    mail.stop()
    cross(acme)
    for attempt, pause in enumerate(outbox.PAUSES[:3], start=1):
        assert sent() == "1 pending"
        delivery = only()
        assert (delivery.attempts, delivery.state) == (attempt, "pending")
        assert delivery.due_at == timezone.now() + pause
        assert delivery.error == "The mail server could not be reached."
        clock.shift(pause - timedelta(seconds=1))
        assert sent() == ""
        clock.shift(timedelta(seconds=1))
    mail.start()
    assert sent() == "1 sent"
    assert (only().state, only().attempts, only().error) == ("sent", 4, "")
    clock.shift(timedelta(days=1))
    assert sent() == ""
    assert mail.recipients == ["owner@example.com"]


def test_what_fails_for_two_days_is_given_up_and_can_be_sent_again(
    mail: MailServer, acme: Any, clock: Any
) -> None:
    mail.stop()
    cross(acme)
    started = timezone.now()
    while only().state == "pending":
        clock.move_to(only().due_at)
        sent()
    assert only().state == "failed"
    assert timedelta(hours=40) < timezone.now() - started < timedelta(hours=48)
    assert only().attempts == len(outbox.PAUSES) + 1
    clock.shift(timedelta(days=7))
    assert sent() == ""
    mail.start()
    assert outbox.send_again(only())
    assert sent() == "1 sent"
    assert len(mail.taken) == 1


def test_an_address_that_is_refused_keeps_nobody_else_waiting(mail: MailServer, project: Any) -> None:
    mail.refused = {"manager@example.com"}
    cross(project)
    assert sent() == "1 pending, 1 sent"
    assert mail.recipients == ["owner@example.com"]
    assert AlertDelivery.objects.get(state="pending").error == "The mail server refused the address (550)."


def test_people_who_have_left_are_no_longer_notified(mail: MailServer, project: Any, manager: Any) -> None:
    cross(project)
    Membership.objects.get(user=manager).delete()
    assert sent() == "1 dropped, 1 sent"
    assert mail.recipients == ["owner@example.com"]


def test_without_a_mail_server_nothing_piles_up(acme: Any, settings: Any) -> None:
    settings.EMAIL_URL = ""
    cross(acme)
    assert sent() == ""
    assert not AlertDelivery.objects.exists()


# ---- Webhooks


def test_a_webhook_is_signed_json(receiver: Receiver, acme: Any, settings: Any) -> None:
    settings.SITE_URL = "https://aicost.example.com"
    choose(acme, email_people=False, webhook_url=receiver.url)
    cross(acme, "99.999")
    assert sent() == "1 sent"
    [call] = receiver.calls
    assert call.path == "/hook?key=secret"
    assert call.headers["content-type"] == "application/json"
    page = f"https://aicost.example.com/dashboard/products/{acme.pk}/ai-cost"
    assert call.json == {
        "text": f"Acme: 80 % of the March budget is spent. $100.00 of $100.00 (99.9 %), $0.0010 left. {page}",
        "id": str(only().pk),
        "type": "budget.threshold",
        "project": {"id": str(acme.pk), "name": "Acme"},
        "url": page,
        "month": "2026-03",
        "threshold": 80,
        "crossing": 1,
        "spent": 99.999,
        "limit": 100.0,
        "percent": 99.9,
    }
    assert call.headers["x-aicost-delivery"] == str(only().pk)
    assert _is_genuine(call, channels.signing_secret(acme))
    assert not _is_genuine(call, "another secret")


def _is_genuine(call: Any, secret: str) -> bool:
    """The check that the documentation recommends to receivers."""
    timestamp = call.headers["x-aicost-timestamp"]
    assert int(timestamp) == int(NOW.timestamp())
    expected = hmac.new(secret.encode(), timestamp.encode() + b"." + call.body, hashlib.sha256).hexdigest()
    return hmac.compare_digest("sha256=" + expected, call.headers["x-aicost-signature"])


def test_each_product_has_its_own_secret_which_is_in_no_table(acme: Any, project: Any, settings: Any) -> None:
    secret = channels.signing_secret(acme)
    assert len(secret) == 64
    assert secret != channels.signing_secret(project)
    settings.SECRET_KEY = "another"
    assert secret != channels.signing_secret(acme)


def test_the_timestamp_is_signed_too() -> None:
    assert webhook.signature("secret", 1, b"{}") != webhook.signature("secret", 2, b"{}")


def test_chats_do_not_ping_everybody(receiver: Receiver, owner: Any) -> None:
    product = ProjectFactory(owner=owner, name="<!channel> & co")
    choose(product, email_people=False, webhook_url=receiver.url)
    cross(product)
    sent()
    body = receiver.calls[0].json
    assert body["text"].startswith("&lt;!channel&gt; &amp; co: 80 % of")
    assert body["project"]["name"] == "<!channel> & co"


def test_a_receiver_that_answers_500_is_tried_again_with_the_same_body_and_id(
    receiver: Receiver, acme: Any, clock: Any
) -> None:
    choose(acme, email_people=False, webhook_url=receiver.url)
    receiver.answers = [500, 404]
    cross(acme)
    for words in ("It answered 500.", "It answered 404."):
        assert sent() == "1 pending"
        assert only().error == words
        clock.move_to(only().due_at)
    assert sent() == "1 sent"
    assert len({call.body for call in receiver.calls}) == 1
    assert len({call.headers["x-aicost-delivery"] for call in receiver.calls}) == 1
    assert len({call.headers["x-aicost-signature"] for call in receiver.calls}) == 3
    assert "secret answer" not in str(AlertDelivery.objects.values())


def test_a_receiver_that_was_down_is_notified_when_it_is_up(
    receiver: Receiver, acme: Any, clock: Any
) -> None:
    receiver.stop()
    choose(acme, email_people=False, webhook_url=receiver.url)
    cross(acme)
    assert sent() == "1 pending"
    assert only().error == "The connection failed or was interrupted."
    receiver.start()
    clock.move_to(only().due_at)
    assert sent() == "1 sent"
    assert len(receiver.calls) == 1


def test_a_redirect_is_not_followed(receiver: Receiver, acme: Any) -> None:
    other = Receiver()
    other.start()
    receiver.answers, receiver.location = [302], other.url
    choose(acme, email_people=False, webhook_url=receiver.url)
    cross(acme)
    assert sent() == "1 pending"
    other.stop()
    assert only().error == "It answered 302; redirects are not followed."
    assert (len(receiver.calls), other.calls) == (1, [])


def test_a_corrected_url_is_used_from_then_on(receiver: Receiver, acme: Any, clock: Any) -> None:
    choose(acme, email_people=False, webhook_url="http://127.0.0.1:1/")
    cross(acme)
    assert sent() == "1 pending"
    choose(acme, email_people=False, webhook_url=receiver.url)
    clock.move_to(only().due_at)
    assert sent() == "1 sent"
    assert only().target == receiver.url


def test_a_removed_webhook_is_no_longer_notified(receiver: Receiver, acme: Any) -> None:
    choose(acme, email_people=False, webhook_url=receiver.url)
    cross(acme)
    choose(acme, email_people=False)
    assert sent() == "1 dropped"
    assert receiver.calls == []


def test_one_channel_down_does_not_hold_the_other_up(mail: MailServer, receiver: Receiver, acme: Any) -> None:
    mail.stop()
    choose(acme, webhook_url=receiver.url)
    cross(acme)
    assert sent() == "1 pending, 1 sent"
    assert len(receiver.calls) == 1


# ---- Where webhooks may go

PRIVATE = [
    *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),  # noqa: S104
    *("255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.2.1", "198.18.0.1"),
    *("::1", "::", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:a00:1", "fe80::1", "fe80::1%eth0"),
    *("fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2002:7f00:1::", "2001:0:7f00:1::", "::127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2001:db8::1", "3fff::1"),
    *("192.0.0.192", "::ffff:192.0.0.192", "192.88.99.1"),
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_recognised(address: str) -> None:
    assert not safe_http.is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_recognised(address: str) -> None:
    assert safe_http.is_public(address)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_private_addresses_are_refused_however_they_are_written(acme: Any, host: str) -> None:
    with pytest.raises(Undelivered, match="not public"):
        safe_http.post(f"https://{host}/", b"{}", {})


@pytest.mark.parametrize("answers", [["127.0.0.1"], ["169.254.169.254"], ["1.1.1.1", "10.0.0.1"], ["::1"]])
def test_a_name_that_resolves_to_a_private_address_is_refused_before_any_connection(
    acme: Any, answers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **_: [_found(one, port) for one in answers])
    monkeypatch.setattr(socket.socket, "connect", lambda self, at: connected.append(at))
    with pytest.raises(Undelivered, match="not public"):
        safe_http.post("https://rebinding.example.com/", b"{}", {})
    assert connected == []


def _found(address: str, port: int) -> tuple[Any, ...]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return (family, socket.SOCK_STREAM, 6, "", (address, port))


def test_a_name_is_resolved_once_and_the_connection_goes_to_the_checked_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that resolves to another address after the check gains nothing by it."""
    asked, connected = [], []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [_found("1.1.1.1" if len(asked) == 1 else "127.0.0.1", port)]

    def connect(self: Any, at: Any) -> None:
        connected.append(at)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(Undelivered, match="connection failed"):
        safe_http.post("https://rebinding.example.com/", b"{}", {})
    assert (asked, connected) == (["rebinding.example.com"], [("1.1.1.1", 443)])


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://example.com/",
            "ftp://example.com/",
            "example.com",
            "//example.com/",
            "https://",
            "https:///x",
        ),
        *("https://user@example.com/", "https://user:pass@example.com/", "https://example.com\\@127.0.0.1/"),
        *(
            "https://exa mple.com/",
            "https://example.com/\r\nHost: x",
            "https://example.com/ü",
            "javascript:x",
        ),
        *(
            "https://example.com:0/",
            "https://example.com:99999/",
            "https://[::1/",
            "https://[fe80::1%25eth0]/",
        ),
        *("https://127.0.0.1%2f/", "https://exa,mple.com/", "https://example.com/" + "x" * 2000),
    ],
)
def test_a_url_that_is_not_https_is_refused(acme: Any, url: str) -> None:
    with pytest.raises(ValidationError):
        choose(acme, webhook_url=url)
    assert channels.chosen(acme).webhook_url == ""


def test_plain_http_works_only_on_servers_that_allow_it(acme: Any, settings: Any) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    choose(acme, webhook_url="http://receiver.internal:8080/x")
    settings.WEBHOOK_ALLOW_PRIVATE = False
    with pytest.raises(Undelivered, match="https"):
        safe_http.post("http://receiver.internal:8080/x", b"{}", {})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "204"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.0 201\r\n", "201"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "Its response is not HTTP."),
        (b"HTTP/1.1 200", "Its response is not HTTP."),
        (b"", "Its response is not HTTP."),
        (b"x" * 100_000, "Its response is not HTTP."),
    ],
)
def test_only_the_status_of_a_response_is_read(settings: Any, answer: bytes, words: str) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    with _server(answer) as port:
        try:
            found = str(safe_http.post(f"http://127.0.0.1:{port}/", b"{}", {}))
        except Undelivered as undelivered:
            found = str(undelivered)
    assert found == words


def test_a_receiver_that_trickles_its_response_times_out(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    monkeypatch.setattr(safe_http, "TIMEOUT", 1.0)
    with (
        _server(b"HTTP/1.1 200 OK", pause=0.2) as port,
        pytest.raises(Undelivered, match="did not answer within 1 sec"),
    ):
        safe_http.post(f"http://127.0.0.1:{port}/", b"{}", {})


class _server:  # noqa: N801  # reads as a context manager where it is used
    """Answers one connection with these bytes, one at a time if there is a pause between them."""

    def __init__(self, answer: bytes, pause: float = 0) -> None:
        self.answer, self.pause = answer, pause
        self.listening = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> int:
        Thread(target=self._answer, daemon=True).start()
        return int(self.listening.getsockname()[1])

    def _answer(self) -> None:
        connection, _ = self.listening.accept()
        with connection:
            connection.recv(4096)
            try:
                for part in (
                    [self.answer[i : i + 1] for i in range(len(self.answer))] if self.pause else [self.answer]
                ):
                    connection.sendall(part)
                    time.sleep(self.pause)
            except OSError:
                pass  # the other side has enough

    def parts(self) -> list[bytes]:
        return [bytes([one]) for one in self.answer] if self.pause else [self.answer]

    def __exit__(self, *_: object) -> None:
        self.listening.close()


# ---- TLS


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of `hooks.example.com`, with its key."""
    if not shutil.which("openssl"):
        missing("openssl", "apt-get install openssl")
    path = tmp_path_factory.mktemp("tls") / "hooks.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "9000", "-subj", "/CN=hooks", "-addext", "subjectAltName=DNS:hooks.example.com"]
    key = path.with_suffix(".key")
    subprocess.run([*command, "-keyout", key, "-out", path], check=True, capture_output=True)
    path.write_text(path.read_text() + key.read_text())
    return path


@pytest.fixture
def secured(certificate: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver with https; every host name resolves to it."""
    settings.WEBHOOK_ALLOW_PRIVATE = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    receiver = Receiver(context)
    receiver.start()
    found = [_found("127.0.0.1", receiver.port)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **_: found)
    yield receiver
    receiver.stop()


def test_a_certificate_must_be_trusted(secured: Receiver) -> None:
    with pytest.raises(Undelivered, match="certificate is not trusted for this host name"):
        safe_http.post("https://hooks.example.com/", b"{}", {})
    assert secured.calls == []


def test_a_certificate_is_checked_against_the_name_and_not_the_address(
    secured: Receiver, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert safe_http.post("https://hooks.example.com/x", b"{}", {}) == 200
    assert secured.calls[0].headers["host"] == "hooks.example.com"
    with pytest.raises(Undelivered, match="certificate is not trusted for this host name"):
        safe_http.post("https://other.example.com/x", b"{}", {})
    assert len(secured.calls) == 1


# ---- Concurrent senders, and senders that die


@pytest.mark.django_db(transaction=True)
def test_a_message_is_sent_by_one_sender_at_a_time(receiver: Receiver, acme: Any) -> None:
    choose(acme, email_people=False, webhook_url=receiver.url)
    cross(acme)
    receiver.answer_after = Event()

    def send() -> None:
        try:
            outbox.send_due()
        finally:
            connection.close()

    first = Thread(target=send)
    first.start()
    assert receiver.called.wait(30)
    assert only().state == "sending"
    assert outbox.send_due() == {}
    assert not outbox.send_again(only())
    receiver.answer_after.set()
    first.join(30)
    assert only().state == "sent"
    assert len(receiver.calls) == 1


@pytest.mark.django_db(transaction=True)
def test_a_sender_killed_while_sending_leaves_the_message_to_the_next(
    receiver: Receiver, acme: Any, clock: Any
) -> None:
    choose(acme, email_people=False, webhook_url=receiver.url)
    cross(acme)
    receiver.answer_after = Event()
    process = _sender()
    assert receiver.called.wait(60)
    process.kill()
    process.wait()
    receiver.answer_after.set()
    delivery = only()
    assert (delivery.state, delivery.attempts) == ("sending", 1)
    clock.move_to(delivery.due_at - timedelta(seconds=1))
    assert sent() == ""
    clock.shift(timedelta(seconds=1))
    assert sent() == "1 sent"
    assert [call.headers["x-aicost-delivery"] for call in receiver.calls] == [str(delivery.pk)] * 2
    assert only().attempts == 2


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_asked_to_stop_finishes_its_message(receiver: Receiver, acme: Any) -> None:
    choose(acme, email_people=False, webhook_url=receiver.url)
    cross(acme)
    receiver.answer_after = Event()
    process = _sender("--loop")
    assert receiver.called.wait(60)
    process.send_signal(signal.SIGTERM)
    receiver.answer_after.set()
    assert process.wait(60) == 0
    assert only().state == "sent"
    assert len(receiver.calls) == 1


def _sender(*arguments: str) -> subprocess.Popen[bytes]:
    """Run the command in another process, on this test's database."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "AICOST_TEST_DATABASE": str(connection.settings_dict["NAME"]),
        "WEBHOOK_ALLOW_PRIVATE": "true",
    }
    command = [sys.executable, "-m", "tests.alert_sender", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment)


def test_an_expired_claim_does_not_undo_what_the_next_sender_did(
    receiver: Receiver, acme: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(acme, email_people=False, webhook_url=receiver.url)
    cross(acme)

    def slow(delivery: AlertDelivery) -> None:
        monkeypatch.setitem(outbox._SEND, "webhook", webhook.send)
        clock.shift(outbox.LEASE)
        assert sent() == "1 sent"
        raise Undelivered("It did not answer.")

    monkeypatch.setitem(outbox._SEND, "webhook", slow)
    outbox.send_due()
    assert (only().state, only().error) == ("sent", "")


def test_a_message_that_fails_does_not_delay_the_others(
    mail: MailServer, receiver: Receiver, acme: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(acme, webhook_url=receiver.url)
    cross(acme)

    def broken(delivery: AlertDelivery) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setitem(outbox._SEND, "email", broken)
    assert sent() == "1 pending, 1 sent"
    error = AlertDelivery.objects.get(channel="email").error
    assert error == "It failed unexpectedly. The server's log has the details."


# ---- Test messages and counts


def test_a_test_is_tried_once(mail: MailServer, acme: Any, clock: Any) -> None:
    outbox.queue_test(acme, "email")
    assert sent() == "1 sent"
    assert mail.taken[0][1]["Subject"] == "Acme: a test of the budget alerts"
    mail.stop()
    outbox.queue_test(acme, "email")
    assert sent() == "1 failed"


def test_a_test_of_a_webhook_says_that_it_is_a_test(receiver: Receiver, acme: Any) -> None:
    choose(acme, webhook_url=receiver.url)
    [delivery] = outbox.queue_test(acme, "webhook")
    assert sent() == "1 sent"
    assert receiver.calls[0].json == {
        "text": "Acme: a test of the budget alerts.",
        "id": str(delivery.pk),
        "type": "budget.test",
        "project": {"id": str(acme.pk), "name": "Acme"},
    }


def test_waiting_and_given_up_messages_are_counted(
    client: Any, mail: MailServer, acme: Any, settings: Any
) -> None:
    settings.METRICS_TOKEN = "scrape"
    mail.stop()
    cross(acme)
    outbox.queue_test(acme, "email")
    sent()
    text = client.get("/metrics", HTTP_AUTHORIZATION="Bearer scrape").content.decode()
    assert 'aicost_alert_deliveries{state="pending"} 1.0' in text
    assert 'aicost_alert_deliveries{state="sending"} 0.0' in text
    assert 'aicost_alert_deliveries{state="failed"} 1.0' in text


def test_two_spellings_of_one_address_are_notified_once(mail: MailServer, owner: Any, acme: Any) -> None:
    twin = UserFactory(username="twin", email="OWNER@example.com")
    Membership.objects.create(project=acme, user=twin, role="manager")
    cross(acme)
    assert sent() == "1 sent"


# ---- Retention


def test_finished_deliveries_are_deleted_after_the_retention_period(
    receiver: Receiver, acme: Any, settings: Any, clock: Any
) -> None:
    settings.AUDIT_RETENTION_DAYS = 30
    choose(acme, email_people=False, webhook_url=receiver.url)
    for state in AlertDelivery.State.values:
        for days in (29, 31):
            [delivery] = outbox.queue_test(acme, "webhook")
            old = NOW - timedelta(days=days)
            AlertDelivery.objects.filter(pk=delivery.pk).update(state=state, created_at=old, error=f"{days}")
    said = StringIO()
    call_command("prune_deliveries", stdout=said)
    assert said.getvalue() == "3 deleted\n"
    left = AlertDelivery.objects.filter(error="31").values_list("state", flat=True)
    assert set(left) == {"pending", "sending"}
    assert AlertDelivery.objects.filter(error="29").count() == 5


def test_many_deliveries_are_deleted_in_several_transactions(receiver: Receiver, acme: Any) -> None:
    choose(acme, email_people=False, webhook_url=receiver.url)
    for _ in range(7):
        outbox.queue_test(acme, "webhook")
    AlertDelivery.objects.update(state="sent")
    assert outbox.prune(NOW + timedelta(seconds=1), batch=3) == 7
    assert not AlertDelivery.objects.exists()


def test_a_threshold_is_not_notified_again_after_its_message_was_deleted(
    receiver: Receiver, acme: Any
) -> None:
    choose(acme, email_people=False, webhook_url=receiver.url)
    with committed():
        limits.set_limit(acme, Decimal(100), by=acme.owner)
        usage(acme, costDollars="90")
    outbox.send_due()
    assert outbox.prune(NOW + timedelta(seconds=1)) == 1
    with committed():
        usage(acme, costDollars="1")
    assert BudgetAlert.objects.count() == 1
    assert not AlertDelivery.objects.exists()
