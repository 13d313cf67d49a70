from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db import connections
from django.db.models.signals import post_migrate, pre_migrate


class BillingConfig(AppConfig):
    """The ledger, prices, budgets and alerts."""

    name = "billing"

    def ready(self) -> None:
        pre_migrate.connect(_lift_guards, sender=self)
        post_migrate.connect(_install_guards, sender=self)
        _connect_alerts()
        if settings.DISTRIBUTED:
            from billing.db.citus import queries

            queries.activate()


def _connect_alerts() -> None:
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

    # Without a plan (as after `flush`) no table has changed. A backwards migration may have dropped it.
    present = connections[using].introspection.table_names
    if plan and CreditTransaction._meta.db_table in present():
        install_billing(connections[using])
