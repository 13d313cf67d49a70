"""Name the project in statements in which Django names a row by its id alone.

Ids are unique over all projects, so on one machine `WHERE id = …` is enough. On a cluster the coordinator
finds a row's machine by the project. Without the project it asks every machine, and it refuses some joins.

`BillingConfig.ready` calls `activate` if settings.DISTRIBUTED is set. Otherwise nothing here is imported:
PostgreSQL on one machine is better off without the project in joins, because for a table without statistics
it may read all rows of the project, by an index that begins with the project, to find each joined row.
"""

from typing import Any

from django.apps import apps
from django.db import models
from django.db.models.fields.related_descriptors import ReverseManyToOneDescriptor
from django.db.models.lookups import Exact

from billing.db.citus.tables import BY_PROJECT, PROJECT


def activate() -> None:
    """Change the models and foreign keys of the distributed tables, in place.

    The model classes must not differ from those without a cluster, for migrations are made of them. So this
    assigns to the finished classes. A foreign key gets another class, as Django does where it copies a field.
    """
    for model in models_found_by_id():
        model._do_update = _update_in_project
        model.refresh_from_db = _refresh_in_project
    for key in keys_within_a_project():
        key.__class__ = SameProjectKey
        if not key.remote_field.hidden:
            setattr(key.related_model, key.remote_field.accessor_name, SameProjectRows(key.remote_field))


def models_found_by_id() -> list[Any]:
    """Models of rows of a project, except those whose primary key contains the project."""
    found = [(model, model._meta) for model in _models_of_projects()]
    return [model for model, options in found if options.get_field("project") not in options.pk_fields]


def keys_within_a_project() -> list[Any]:
    """Foreign keys between two rows of one project."""
    distributed = _models_of_projects()
    return [
        field
        for model in distributed
        for field in model._meta.concrete_fields
        if isinstance(field, models.ForeignKey) and field.related_model in distributed
    ]


def _models_of_projects() -> list[Any]:
    tables = set(BY_PROJECT) - {PROJECT}
    return [model for model in apps.get_models() if model._meta.db_table in tables]


def _update_in_project(row: Any, base_qs: Any, *args: Any) -> Any:
    """Replaces `Model._do_update`, the UPDATE of a `save`."""
    return models.Model._do_update(row, base_qs.filter(project=row.project_id), *args)


def _refresh_in_project(row: Any, using: Any = None, fields: Any = None, from_queryset: Any = None) -> None:
    """Replaces `Model.refresh_from_db`, which also loads deferred fields."""
    if "project_id" in row.__dict__:  # else it is deferred itself
        rows = type(row)._base_manager.all() if from_queryset is None else from_queryset
        from_queryset = rows.filter(project=row.project_id)
    models.Model.refresh_from_db(row, using, fields, from_queryset)


class SameProjectKey(models.ForeignKey):
    """A foreign key between two rows of one project."""

    def get_extra_descriptor_filter(self, instance: Any) -> dict[str, Any]:
        """For `child.parent`."""
        return {"project": instance.project_id}

    def get_extra_restriction(self, alias: Any, related_alias: Any) -> Any:
        """For a join of the parent's table (`alias`) and the child's (`related_alias`), either way."""
        parent: Any = self.related_model._meta.get_field("project")
        child: Any = self.model._meta.get_field("project")
        return Exact(parent.get_col(alias), child.get_col(related_alias))

    def deconstruct(self) -> Any:
        """For migrations it is a plain foreign key."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.ForeignKey", args, kwargs


class SameProjectRows(ReverseManyToOneDescriptor):
    """The rows that refer to a row of the same project: `parent.children`."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        manager = super().__get__(instance, cls)
        if instance is not None:
            manager.core_filters["project"] = instance.project_id
        return manager
