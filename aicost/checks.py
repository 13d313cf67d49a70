"""System checks of production settings: run by `manage.py check --deploy` and by `manage.py serve`."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, register

MIN_KEY_LENGTH = 50
MIN_DISTINCT_CHARACTERS = 5


@register(Tags.security, deploy=True)
def settings_for_production(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """In addition to Django's checks, which cover HTTPS, DEBUG and cookies."""
    messages: list[CheckMessage] = []
    key = settings.SECRET_KEY
    if len(key) < MIN_KEY_LENGTH or len(set(key)) < MIN_DISTINCT_CHARACTERS:
        messages.append(
            Error(
                f"SECRET_KEY has fewer than {MIN_KEY_LENGTH} characters, or only a few different ones.",
                hint="python -c 'import secrets; print(secrets.token_hex(32))' prints a good one.",
                id="aicost.E001",
            )
        )
    if not settings.ALLOWED_HOSTS:
        messages.append(
            Error("ALLOWED_HOSTS is empty: the server would refuse every request.", id="aicost.E002"),
        )
    if not settings.EMAIL_URL:
        messages.append(Info("EMAIL_URL is not set: alerts can't be sent by email.", id="aicost.I001"))
    if not settings.SITE_URL:
        messages.append(Info("SITE_URL is not set: alerts contain no link.", id="aicost.I002"))
    return messages
