"""An alert as an email, text and HTML."""

import logging
import smtplib
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from billing.alerts import Undelivered, channels
from billing.alerts.messages import message
from billing.models.alerts import AlertDelivery

log = logging.getLogger(__name__)


def send(delivery: AlertDelivery) -> None:
    """Raises `Undelivered` unless the mail server took it."""
    if not channels.email_works():
        raise Undelivered("This server has no mail server to send by.")
    try:
        compose(delivery).send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = ", ".join(str(code) for code, _ in error.recipients.values())
        raise _told(error, f"The mail server refused the address ({codes}).") from error
    except smtplib.SMTPAuthenticationError as error:
        raise _told(error, f"The mail server refused the sign-in ({error.smtp_code}).") from error
    except smtplib.SMTPResponseException as error:
        raise _told(error, f"The mail server answered {error.smtp_code}.") from error
    except TimeoutError as error:
        raise _told(error, "The mail server did not answer in time.") from error
    except (smtplib.SMTPException, OSError) as error:
        raise _told(error, "The mail server could not be reached.") from error


def compose(delivery: AlertDelivery) -> EmailMultiAlternatives:
    said = {"message": message(delivery)}
    email = EmailMultiAlternatives(
        subject=said["message"].subject,
        body=render_to_string("billing/mail/alert.txt", said),
        to=[delivery.target],
        headers={
            # The same for every attempt, so that a mailbox can tell a repetition.
            "Message-ID": f"<{delivery.pk}@{_domain()}>",
            "Auto-Submitted": "auto-generated",
        },
    )
    email.attach_alternative(render_to_string("billing/mail/alert.html", said), "text/html")
    return email


def _domain() -> str:
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1].partition("@")[2] or "localhost"


def _told(error: Exception, words: str) -> Undelivered:
    """The mail server's own words are for who runs this server, not for the page."""
    log.warning("An alert could not be mailed: %r", error)
    return Undelivered(words)
