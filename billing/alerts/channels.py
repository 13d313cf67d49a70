"""Where a product's alerts go, and at which percentages of the limit."""

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

MAX_THRESHOLDS = 10
MAX_THRESHOLD_PERCENT = 1000
MAX_ADDRESSES = 20


def chosen(project: Project) -> AlertSettings:
    """The product's alert settings, or the defaults."""
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
    """Change the settings. Raises `ValidationError`. The caller has checked that `by` may do this."""
    stored = {
        "thresholds": ",".join(str(percent) for percent in check_thresholds(thresholds)),
        "email_people": email_people,
        "email_more": "\n".join(check_addresses(email_more)),
        "webhook_url": check_webhook(webhook_url),
    }
    project = ledger.lock(project)
    chosen, _ = AlertSettings.objects.update_or_create(project=project, defaults=stored)
    audit.record(audit.Kind.ALERTS_CHANGED, by=by, project=project, detail=_summary(chosen))
    signals.announce(project)


def _summary(choice: AlertSettings) -> str:
    """For the audit log, without addresses and the webhook's URL, which is a secret."""
    percents = ", ".join(str(percent) for percent in choice.percents)
    ways = {
        "the owner and managers by email": choice.email_people,
        f"{len(choice.more_addresses)} more by email": choice.more_addresses,
        "a webhook": choice.webhook_url,
    }
    return f"at {percents} %: {', '.join(way for way, used in ways.items() if used) or 'nobody'}"


def check_thresholds(percents: Iterable[int]) -> list[int]:
    """Return the percentages, ascending and each once. Raises `ValidationError`."""
    found = sorted(set(percents))
    if not found or found[0] < 1 or found[-1] > MAX_THRESHOLD_PERCENT or len(found) > MAX_THRESHOLDS:
        raise ValidationError(
            f"Enter 1 to {MAX_THRESHOLDS} whole percentages, each from 1 to {MAX_THRESHOLD_PERCENT}."
        )
    return found


def check_addresses(addresses: Iterable[str]) -> list[str]:
    found = _each_once(addresses)
    if len(found) > MAX_ADDRESSES:
        raise ValidationError(f"At most {MAX_ADDRESSES} other addresses can be notified.")
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
    """Whether this server has a mail server configured."""
    return bool(settings.EMAIL_URL)


def recipients(project: Project, choice: AlertSettings) -> list[str]:
    """Current email addresses, each once, without people who left the product."""
    people = _people(project) if choice.email_people else []
    return _each_once([*people, *choice.more_addresses])


def _people(project: Project) -> Iterable[str]:
    managers = Membership.objects.filter(project=project, role=Membership.Role.MANAGER)
    people: Any = get_user_model()._default_manager.filter(is_active=True)
    people = people.filter(Q(pk=project.owner_id) | Q(pk__in=managers.values("user")))
    return people.exclude(email="").order_by("email").values_list("email", flat=True)  # type: ignore[no-any-return]


def _each_once(addresses: Iterable[str]) -> list[str]:
    found: dict[str, str] = {}
    for address in addresses:
        found.setdefault(address.casefold(), address)
    return list(found.values())


def targets(project: Project) -> list[tuple[str, str]]:
    """Channel and target of every message that an alert would send now."""
    choice = chosen(project)
    found = [("email", address) for address in recipients(project, choice)] if email_works() else []
    return [*found, ("webhook", choice.webhook_url)] if choice.webhook_url else found


def signing_secret(project: Project) -> str:
    """Derived from SECRET_KEY and changes with it, so that no dump of the database contains it."""
    return salted_hmac("billing.alerts.webhook", str(project.pk), algorithm="sha256").hexdigest()


_SEPARATORS = re.compile(r"[\s,;]+")


def split(text: str) -> list[str]:
    """Split what people typed at commas, semicolons and white space."""
    return [part for part in _SEPARATORS.split(text) if part]
