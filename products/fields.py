"""Fields of our own: text in code point order on both databases, and keys within a project."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.lookups import Exact


class CodePointCharField(models.CharField):
    """A `CharField` in the collation `C` on PostgreSQL.

    SQLite's own order is already that of code points, and it knows no collation of that name, so
    `db_collation`, which would be written to both, cannot say it.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        parameters = super().db_parameters(connection)
        if connection.vendor == "postgresql":
            parameters["collation"] = "C"
        return parameters


class SameProjectKey(models.ForeignKey):
    """A foreign key between rows of one project, which every join and every look-up along it says, too.

    Where the tables are spread over machines by project, only then is it known that both rows are on one.
    """

    def get_extra_restriction(self, alias: str | None, related_alias: str) -> Any:
        """Of a join of the parent's table (`alias`) with the child's."""
        return _same_project(self.related_model, alias, self.model, related_alias)

    def get_extra_descriptor_filter(self, instance: Any) -> dict[str, Any]:
        return {"project_id": instance.project_id}

    def deconstruct(self) -> Any:
        """In migrations it is what it is in the database."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.ForeignKey", args, kwargs


def _same_project(parent: Any, alias: str | None, child: Any, related_alias: str) -> Exact:
    return Exact(
        parent._meta.get_field("project").get_col(alias),
        child._meta.get_field("project").get_col(related_alias),
    )
