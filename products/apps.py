from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate, pre_migrate


class ProductsConfig(AppConfig):
    """What ran, and who may see it."""

    name = "products"

    def ready(self) -> None:
        pre_migrate.connect(_lift_guards, sender=self)
        post_migrate.connect(_install_guards, sender=self)


def _lift_guards(using: str, plan: Sequence[Any] = (), **_: Any) -> None:
    from products.db.triggers import lift_for_migrations

    if plan:
        lift_for_migrations(connections[using], "products")


def _install_guards(using: str, plan: Sequence[Any] = (), **_: Any) -> None:
    from products.db.triggers import install_products
    from products.models import AgentJob

    # An empty plan (or none: `flush`) changed no table; one that goes back may have taken the tables away.
    present = connections[using].introspection.table_names
    if plan and AgentJob._meta.db_table in present():
        install_products(connections[using])
