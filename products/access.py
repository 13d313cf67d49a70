"""The one door to a project: who may see it, who may change it, and who is a stranger."""

from typing import Any, Literal

from django.core.exceptions import PermissionDenied
from django.http import Http404

from products.models import Membership, Project

Need = Literal["read", "change"]
Role = Literal["owner", "manager", "viewer", "superuser"]


def project_for(user: Any, project_id: int | str, need: Need = "read") -> Project:
    """The project with that id, for somebody who may see it.

    Raises `Http404` for strangers exactly as for a project that does not exist, and
    `PermissionDenied` for those who may see it but not change it.
    """
    key = _key(project_id)
    project = key and Project.objects.visible_to(user).select_related("owner").filter(pk=key).first()
    if not project:
        raise Http404("No such product.")
    if need == "change" and not may_change(user, project):
        raise PermissionDenied("You may look at this product but not change it.")
    return project


def role_in(user: Any, project: Project) -> Role | None:
    """A superuser who is neither owner nor member only reads."""
    if project.owner_id == user.pk:
        return "owner"
    role = Membership.objects.filter(project=project, user=user.pk).values_list("role", flat=True).first()
    return role or ("superuser" if user.is_superuser else None)  # type: ignore[return-value]


def may_change(user: Any, project: Project) -> bool:
    """Owners and managers change the budget, tokens and members."""
    return role_in(user, project) in ("owner", "manager")


def _key(project_id: int | str) -> int | None:
    """Ids are whole numbers written plainly; anything else is the id of no project."""
    if isinstance(project_id, str):
        plain = project_id.isascii() and project_id.isdecimal() and not project_id.startswith("0")
        project_id = int(project_id) if plain and len(project_id) < 19 else 0
    return project_id if 0 < project_id < 2**63 else None
