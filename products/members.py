"""Change a product's members and owner. The members page and the admin both call these functions.

The caller has checked that the user `by` may do this. Impossible changes raise `ValidationError`.
"""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from products import audit
from products.models import Membership, Project
from products.models.audit import Kind


def find(name: str) -> Any:
    """The active user with that username, or else with that email address."""
    people = get_user_model()._default_manager.filter(is_active=True)
    found = list(people.filter(username=name)) or list(people.filter(email__iexact=name)[:2])
    if not found:
        # No secret here: whoever adds people must be able to tell a mistyped name from a valid one.
        raise ValidationError("There is no account with this username or email address.")
    if len(found) > 1:
        raise ValidationError("Several accounts have this email address. Enter the username.")
    return found[0]


@transaction.atomic
def add(project: Project, user: Any, role: str, *, by: Any) -> Membership:
    if project.owner_id == user.pk:
        raise ValidationError(f"{user} owns this product.")
    membership, added = Membership.objects.get_or_create(project=project, user=user, defaults={"role": role})
    if not added:
        raise ValidationError(f"{user} is already a member.")
    audit.record(Kind.MEMBER_ADDED, by=by, about=user, project=project, detail=f"{user} as {role}")
    return membership


@transaction.atomic
def set_role(project: Project, user: Any, role: str, *, by: Any) -> bool:
    """Change a member's role. Returns False if they already had it."""
    others = Membership.objects.filter(project=project, user=user).exclude(role=role)
    changed = bool(others.update(role=role))
    if changed:
        audit.record(Kind.ROLE_CHANGED, by=by, about=user, project=project, detail=f"{user} is now {role}")
    return changed


@transaction.atomic
def remove(project: Project, user: Any, *, by: Any) -> bool:
    """Remove a member. Returns False if they were not one, as the owner is not."""
    removed, _ = Membership.objects.filter(project=project, user=user).delete()
    if removed:
        audit.record(Kind.MEMBER_REMOVED, by=by, about=user, project=project, detail=str(user))
    return bool(removed)


@transaction.atomic
def hand_over(project: Project, owner: Any, *, by: Any) -> None:
    """Give the product a new owner. The former owner loses access."""
    former = project.owner
    if former == owner:
        return
    Membership.objects.filter(project=project, user=owner).delete()
    project.owner = owner
    project.save(update_fields=["owner"])
    audit.record(Kind.OWNER_CHANGED, by=by, about=owner, project=project, detail=f"{former} → {owner}")


def members_of(project: Project) -> QuerySet[Membership]:
    """Memberships with their users, by username. The owner is not among them."""
    return Membership.objects.filter(project=project).select_related("user").order_by("user__username")


def member_of(project: Project, user_id: int) -> Any | None:
    """The member with that id; None for strangers and for the owner."""
    people = get_user_model()._default_manager.filter(memberships__project=project)
    return people.filter(pk=user_id).first()
