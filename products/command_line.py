"""Look up the users and products that management commands are given. Raises `CommandError` if missing."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db.models import QuerySet

from products.models import Project


def user_named(username: str, *, create: bool) -> Any:
    """The user with that name; with `create`, a missing user is created without a password."""
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
        raise CommandError(f"There is no user named {username!r}. Add --create-user to create it.")
    return user


def project_with_id(project_id: int) -> Project:
    project = Project.objects.filter(pk=project_id).first()
    if project is None:
        raise CommandError(f"There is no product with ID {project_id}.")
    return project


def projects_with_id(project_id: int | None) -> QuerySet[Project]:
    """The product with that id; for None all products, by id."""
    projects = Project.objects.order_by("pk")
    return projects if project_id is None else projects.filter(pk=project_with_id(project_id).pk)
