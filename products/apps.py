from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate, pre_migrate


class ProductsConfig(AppConfig):
    """Projects, who may see them, and what ran in them."""

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

    # An empty plan changed no table, and `flush` sends none; a backward plan may have dropped the tables.
    table_names = connections[using].introspection.table_names
    if plan and AgentJob._meta.db_table in table_names():
        install_products(connections[using])
