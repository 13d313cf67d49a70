"""The page of a product's people: the owner first, then the others by name."""

from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from aicost.formatting import html
from billing import periods
from products.models import Membership, Project


@dataclass(frozen=True)
class PersonRow:
    id: int
    name: str
    role: str
    since: SafeString | str
    own: bool
    other_role: str
    """What one click makes of a member; "" of the owner, whom nobody changes here."""


OTHER = {Membership.Role.VIEWER: Membership.Role.MANAGER, Membership.Role.MANAGER: Membership.Role.VIEWER}


def page(project: Project, user: Any, may_change: bool) -> dict[str, Any]:
    members = Membership.objects.filter(project=project).select_related("user").order_by("user__username")
    zone = periods.zone(project.time_zone)
    owner = PersonRow(project.owner.pk, str(project.owner), "owner", "—", project.owner == user, "")
    rows = [
        PersonRow(
            id=one.user.pk,
            name=str(one.user),
            role=one.role,
            since=html.moment(one.joined_at, zone),
            own=one.user == user,
            other_role=OTHER[Membership.Role(one.role)].value,
        )
        for one in members
    ]
    return {"people": [owner, *rows], "may_change": may_change}
