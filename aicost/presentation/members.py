"""The page of a product's members: the owner first, then the others by name."""

from collections.abc import Iterable
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
    """The role that the row's button assigns; "" for the owner, whose role can't be changed here."""


_OTHER_ROLE = {
    Membership.Role.VIEWER: Membership.Role.MANAGER,
    Membership.Role.MANAGER: Membership.Role.VIEWER,
}


def page(project: Project, members: Iterable[Membership], user: Any, may_change: bool) -> dict[str, Any]:
    """`user` is the person who views the page."""
    zone = periods.zone(project.time_zone)
    owner = PersonRow(project.owner.pk, str(project.owner), "owner", "—", project.owner == user, "")
    rows = [
        PersonRow(
            id=member.user.pk,
            name=str(member.user),
            role=member.role,
            since=html.moment(member.joined_at, zone),
            own=member.user == user,
            other_role=_OTHER_ROLE[Membership.Role(member.role)].value,
        )
        for member in members
    ]
    return {"people": [owner, *rows], "may_change": may_change}
