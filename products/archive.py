"""Products are archived, not deleted, and may come back."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from products import audit
from products.models import Project


@transaction.atomic
def archive(project: Project, *, by: Any) -> bool:
    """Whether it was not archived before."""
    done = Project.objects.filter(pk=project.pk, archived_at=None).update(archived_at=timezone.now())
    if done:
        audit.note(audit.Kind.ARCHIVED, by=by, project=project)
    return bool(done)


@transaction.atomic
def restore(project: Project, *, by: Any) -> bool:
    """Whether it was archived."""
    done = Project.objects.filter(pk=project.pk).exclude(archived_at=None).update(archived_at=None)
    if done:
        audit.note(audit.Kind.RESTORED, by=by, project=project)
    return bool(done)
