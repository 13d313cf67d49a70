"""Record in a product's audit log whom it was denied to."""

import logging

from django.db import Error

from products import audit
from products.access import NotAllowed, ProjectNotFound
from products.models import Project

log = logging.getLogger("aicost.access")


def record(error: Exception, action: str) -> None:
    """Record that `error` denied the caller `action` on an existing product. Ignores other errors.

    A failure of the database is logged only: the caller still gets the refusal.
    """
    if not isinstance(error, ProjectNotFound | NotAllowed):
        return
    try:
        _record(error, action)
    except Error:
        log.exception("a denial could not be recorded")


def _record(error: ProjectNotFound | NotAllowed, action: str) -> None:
    project = error.project_id and Project.objects.filter(pk=error.project_id).first()
    if not project:
        return
    user, token = error.caller.user, error.caller.token
    audit.count(
        audit.Kind.DENIED,
        by=user,
        counter=f"{user.pk}:{token.pk if token else 0}:{project.pk}",
        about=user,
        project=project,
        detail=f"{action} by the token “{token}”" if token else action,
    )
