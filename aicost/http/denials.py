"""Somebody known who was refused a product that exists: a line of its audit log."""

import logging

from django.db import Error

from products import audit
from products.access import NotAllowed, Unseen
from products.models import Project

log = logging.getLogger("aicost.access")


def note(error: Exception, asked: str) -> None:
    """Nothing for any other error. An answer that is no anyway does not fail for want of a line."""
    if not isinstance(error, Unseen | NotAllowed):
        return
    try:
        _note(error, asked)
    except Error:
        log.exception("a denial could not be noted")


def _note(error: Unseen | NotAllowed, asked: str) -> None:
    project = error.project_id and Project.objects.filter(pk=error.project_id).first()
    if not project:
        return
    user, token = error.caller.user, error.caller.token
    audit.tally(
        audit.Kind.DENIED,
        by=user,
        whose=f"{user.pk}:{token.pk if token else 0}:{project.pk}",
        about=user,
        project=project,
        detail=f"{asked} by the token “{token}”" if token else asked,
    )
