"""Where a product's alerts go, and from which percentages on."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q
from django.utils.crypto import salted_hmac

from billing import ledger, signals
from billing.alerts import safe_http
from billing.models.alerts import AlertSettings
from products import audit
from products.models import Membership, Project

MOST_THRESHOLDS = 10
HIGHEST_THRESHOLD = 1000
MOST_ADDRESSES = 20


def chosen(project: Project) -> AlertSettings:
    """The product's settings; the defaults where nobody changed any."""
    return AlertSettings.objects.filter(project=project).first() or AlertSettings(project=project)


@transaction.atomic
def change(
    project: Project,
    *,
    thresholds: Iterable[int],
    email_people: bool,
    email_more: Sequence[str],
    webhook_url: str,
    by: Any = None,
) -> None:
    """Raises `ValidationError` for what may not be; the caller has checked that the person may do this."""
    stored = {
        "thresholds": ",".join(str(percent) for percent in check_thresholds(thresholds)),
        "email_people": email_people,
        "email_more": "\n".join(check_addresses(email_more)),
        "webhook_url": check_webhook(webhook_url),
    }
    project = ledger.lock(project)
    chosen, _ = AlertSettings.objects.update_or_create(project=project, defaults=stored)
    audit.record(audit.Kind.ALERTS_CHANGED, by=by, project=project, detail=_told(chosen))
    signals.announce(project)


def _told(choice: AlertSettings) -> str:
    """Without addresses and the webhook's URL, which is a secret."""
    percents = ", ".join(str(percent) for percent in choice.percents)
    ways = {
        "the owner and managers by email": choice.email_people,
        f"{len(choice.more_addresses)} more by email": choice.more_addresses,
        "a webhook": choice.webhook_url,
    }
    return f"at {percents} %: {', '.join(way for way, used in ways.items() if used) or 'nobody'}"


def check_thresholds(percents: Iterable[int]) -> list[int]:
    """Ascending, each once."""
    found = sorted(set(percents))
    if not found or found[0] < 1 or found[-1] > HIGHEST_THRESHOLD or len(found) > MOST_THRESHOLDS:
        raise ValidationError(
            f"Thresholds are 1 to {MOST_THRESHOLDS} whole percents, each from 1 to {HIGHEST_THRESHOLD}."
        )
    return found


def check_addresses(addresses: Iterable[str]) -> list[str]:
    found = _each_once(addresses)
    if len(found) > MOST_ADDRESSES:
        raise ValidationError(f"At most {MOST_ADDRESSES} other addresses can be told.")
    for address in found:
        try:
            validate_email(address)
        except ValidationError:
            raise ValidationError(f"“{address}” is not an email address.") from None
    return found


def check_webhook(url: str) -> str:
    if url:
        safe_http.read_url(url)
    return url


def email_works() -> bool:
    """Whether this server was told of a mail server."""
    return bool(settings.EMAIL_URL)


def recipients(project: Project, choice: AlertSettings) -> list[str]:
    """Email addresses, each once, as of now: who left the product is not among them."""
    people = _people(project) if choice.email_people else []
    return _each_once([*people, *choice.more_addresses])


def _people(project: Project) -> Iterable[str]:
    managers = Membership.objects.filter(project=project, role=Membership.Role.MANAGER)
    who: Any = get_user_model()._default_manager.filter(is_active=True)
    who = who.filter(Q(pk=project.owner_id) | Q(pk__in=managers.values("user")))
    return who.exclude(email="").order_by("email").values_list("email", flat=True)  # type: ignore[no-any-return]


def _each_once(addresses: Iterable[str]) -> list[str]:
    found: dict[str, str] = {}
    for address in addresses:
        found.setdefault(address.casefold(), address)
    return list(found.values())


def targets(project: Project) -> list[tuple[str, str]]:
    """Channel and target of every message that an alert makes now."""
    choice = chosen(project)
    found = [("email", address) for address in recipients(project, choice)] if email_works() else []
    return [*found, ("webhook", choice.webhook_url)] if choice.webhook_url else found


def signing_secret(project: Project) -> str:
    """Derived, so that no dump of the database holds it; it changes with SECRET_KEY."""
    return salted_hmac("billing.alerts.webhook", str(project.pk), algorithm="sha256").hexdigest()


_SEPARATORS = re.compile(r"[\s,;]+")


def split(text: str) -> list[str]:
    """What people type between commas, spaces or on lines."""
    return [part for part in _SEPARATORS.split(text) if part]
