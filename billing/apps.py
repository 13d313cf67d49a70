from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate


class BillingConfig(AppConfig):
    """What it cost, and what is allowed."""

    name = "billing"

    def ready(self) -> None:
        post_migrate.connect(_reinstall_guards, sender=self)


def _reinstall_guards(using: str, plan: Sequence[Any] = (), **_: Any) -> None:
    from billing.guards import install_billing

    # An empty plan (or none: `flush`) changed no table; one that goes back may have taken the tables away.
    if plan and not any(backwards for _, backwards in plan):
        install_billing(connections[using])
