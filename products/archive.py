"""Archive and restore projects. A project with usage is never deleted."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from products import audit
from products.models import Project


@transaction.atomic
def archive(project: Project, *, by: Any) -> bool:
    """Archive the project. Returns False if it already was."""
    done = Project.objects.filter(pk=project.pk, archived_at=None).update(archived_at=timezone.now())
    if done:
        audit.record(audit.Kind.ARCHIVED, by=by, project=project)
    return bool(done)


@transaction.atomic
def restore(project: Project, *, by: Any) -> bool:
    """Restore the project. Returns False if it was not archived."""
    done = Project.objects.filter(pk=project.pk).exclude(archived_at=None).update(archived_at=None)
    if done:
        audit.record(audit.Kind.RESTORED, by=by, project=project)
    return bool(done)
