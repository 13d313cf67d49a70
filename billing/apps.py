from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate, pre_migrate


class BillingConfig(AppConfig):
    """What it cost, and what is allowed."""

    name = "billing"

    def ready(self) -> None:
        pre_migrate.connect(_lift_guards, sender=self)
        post_migrate.connect(_install_guards, sender=self)
        _let_alerts_hear()


def _let_alerts_hear() -> None:
    from billing.alerts import crossings
    from billing.signals import budget_moved

    budget_moved.connect(crossings.on_budget_moved)


def _lift_guards(using: str, plan: Sequence[Any] = (), **_: Any) -> None:
    from products.db.triggers import lift_for_migrations

    if plan:
        lift_for_migrations(connections[using], "billing")


def _install_guards(using: str, plan: Sequence[Any] = (), **_: Any) -> None:
    from billing.db.triggers import install_billing
    from billing.models import CreditTransaction

    # An empty plan (or none: `flush`) changed no table; one that goes back may have taken the tables away.
    present = connections[using].introspection.table_names
    if plan and CreditTransaction._meta.db_table in present():
        install_billing(connections[using])
