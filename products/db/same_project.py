"""Rows of one project find each other by project and id, so that one machine can answer for them.

Ids are unique over all projects, and alone would do; but where the tables are spread over machines by
project, only a question that names the project goes to a single one.
"""

from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models.lookups import Exact


class OfProject(models.Model):
    """A row of a project's that is read again and saved as one."""

    project_id: int

    class Meta:
        abstract = True

    def refresh_from_db(
        self, using: str | None = None, fields: Any = None, from_queryset: models.QuerySet[Self] | None = None
    ) -> None:
        rows = self.__class__._base_manager.all() if from_queryset is None else from_queryset
        super().refresh_from_db(using, fields, rows.filter(project=self.project_id))

    def _do_update(self, base_qs: Any, *args: Any) -> Any:
        """The UPDATE of a `save`."""
        return super()._do_update(base_qs.filter(project=self.project_id), *args)


class SameProjectKey(models.ForeignKey):
    """A foreign key between rows of one project, which look-ups along it say, and joins where need be."""

    def get_extra_restriction(self, alias: Any, related_alias: Any) -> Any:
        """Of a join of the parent's table (`alias`) with the child's.

        On one machine there is none: of tables that it knows nothing of yet, PostgreSQL would go through all
        rows of the project for each one, by the index that begins with the project.
        """
        if not settings.DISTRIBUTED:
            return None
        parent: Any = self.related_model._meta.get_field("project")
        child: Any = self.model._meta.get_field("project")
        return Exact(parent.get_col(alias), child.get_col(related_alias))

    def get_extra_descriptor_filter(self, instance: Any) -> dict[str, Any]:
        return {"project": instance.project_id}

    def deconstruct(self) -> Any:
        """In migrations it is what it is in the database."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.ForeignKey", args, kwargs
