"""An alert as an email, in text and HTML."""

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
    """Raises `Undelivered` unless the mail server accepted it."""
    if not channels.email_works():
        raise Undelivered("This server has no mail server configured.")
    try:
        compose(delivery).send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = ", ".join(str(code) for code, _ in error.recipients.values())
        raise _undelivered(error, f"The mail server refused the address ({codes}).") from error
    except smtplib.SMTPAuthenticationError as error:
        raise _undelivered(error, f"The mail server refused the sign-in ({error.smtp_code}).") from error
    except smtplib.SMTPResponseException as error:
        raise _undelivered(error, f"The mail server answered {error.smtp_code}.") from error
    except TimeoutError as error:
        raise _undelivered(error, "The mail server did not answer in time.") from error
    except (smtplib.SMTPException, OSError) as error:
        raise _undelivered(error, "The mail server could not be reached.") from error


def compose(delivery: AlertDelivery) -> EmailMultiAlternatives:
    context = {"message": message(delivery)}
    email = EmailMultiAlternatives(
        subject=context["message"].subject,
        body=render_to_string("billing/mail/alert.txt", context),
        to=[delivery.target],
        headers={
            # The same for every attempt, so that a mailbox can recognise a repetition.
            "Message-ID": f"<{delivery.pk}@{_domain()}>",
            "Auto-Submitted": "auto-generated",
        },
    )
    email.attach_alternative(render_to_string("billing/mail/alert.html", context), "text/html")
    return email


def _domain() -> str:
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1].partition("@")[2] or "localhost"


def _undelivered(error: Exception, words: str) -> Undelivered:
    """Log the mail server's own text for the operator; the page shows only `words`."""
    log.warning("An alert could not be mailed: %r", error)
    return Undelivered(words)
