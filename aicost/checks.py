"""Set-ups that would not do, found by `manage.py check --deploy` and before `manage.py serve` serves."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, register

SHORTEST_KEY = 50
FEWEST_CHARACTERS = 5


@register(Tags.security, deploy=True)
def settings_for_production(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Beside Django's own, which warn of plain HTTP, of DEBUG and of cookies."""
    found: list[CheckMessage] = []
    key = settings.SECRET_KEY
    if len(key) < SHORTEST_KEY or len(set(key)) < FEWEST_CHARACTERS:
        found.append(
            Error(
                f"SECRET_KEY has fewer than {SHORTEST_KEY} characters, or few different ones.",
                hint="python -c 'import secrets; print(secrets.token_hex(32))' makes a good one.",
                id="aicost.E001",
            )
        )
    if not settings.ALLOWED_HOSTS:
        found.append(
            Error("ALLOWED_HOSTS is empty: every request would be refused.", id="aicost.E002"),
        )
    if not settings.EMAIL_URL:
        found.append(Info("EMAIL_URL is not set: no alert is sent by email.", id="aicost.I001"))
    if not settings.SITE_URL:
        found.append(Info("SITE_URL is not set: alerts carry no link.", id="aicost.I002"))
    return found
