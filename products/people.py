"""Users as scripts name them."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError


def user_named(username: str, *, create: bool) -> Any:
    """The user of that name, made without a password where asked. Raises `CommandError`."""
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
