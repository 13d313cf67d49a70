"""Users and products as scripts name them; what is not there is a `CommandError` that says so."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db.models import QuerySet

from products.models import Project


def user_named(username: str, *, create: bool) -> Any:
    """The user of that name, made without a password where asked."""
    users = get_user_model()._default_manager
    user = users.filter(username=username).first()
    if user is None and create:
        user = get_user_model()(username=username)
        user.set_unusable_password()
        try:
            user.full_clean(exclude=["password"])
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        user.save()
    if user is None:
        raise CommandError(f"There is no user named {username!r}; --create-user makes one.")
    return user


def project_with_id(project_id: int) -> Project:
    project = Project.objects.filter(pk=project_id).first()
    if project is None:
        raise CommandError(f"There is no product with the id {project_id}.")
    return project


def projects_with_id(project_id: int | None) -> QuerySet[Project]:
    """That product alone; all of them, in order of id, for None."""
    projects = Project.objects.order_by("pk")
    return projects if project_id is None else projects.filter(pk=project_with_id(project_id).pk)
