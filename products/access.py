"""The one door to a project: who may see it, who may change it, and who is a stranger."""

from dataclasses import dataclass
from typing import Any, Literal

from django.core.exceptions import PermissionDenied
from django.http import Http404

from products.models import ApiToken, Membership, Project, ProjectQuerySet

Need = Literal["read", "ask", "change", "reserve", "ingest", "oversee"]
Role = Literal["owner", "manager", "viewer", "superuser"]

SCOPES: dict[Need, set[str]] = {
    "read": {ApiToken.Scope.READ, ApiToken.Scope.WRITE},
    "ask": {ApiToken.Scope.READ, ApiToken.Scope.WRITE, ApiToken.Scope.INGEST},
    "change": {ApiToken.Scope.WRITE},
    "reserve": {ApiToken.Scope.WRITE, ApiToken.Scope.INGEST},
    "ingest": {ApiToken.Scope.INGEST},
    "oversee": set(),
}
"""What a token's scope has to be. A right is the token's scope and its user's present role."""
LOOKING: set[Need] = {"read", "ask"}
"""What everybody who sees a project may do; to oversee it is for its owner, the rest for managers, too."""


BEYOND_SCOPE = "A token with the scope {} may not do this."


class Unauthenticated(PermissionDenied):
    """Nobody is asking, or somebody whose token is not (or no longer) one."""


@dataclass(frozen=True)
class Caller:
    """Who asks: a signed-in person, or a token of a person's, perhaps narrowed to one project."""

    user: Any
    token: ApiToken | None = None

    def visible(self, key: int | None = None) -> ProjectQuerySet:
        """All, or the one with that id."""
        return self._narrowed(Project.objects.visible_to(self.user, key))

    def owned(self) -> ProjectQuerySet:
        return self._narrowed(Project.objects.owned_by(self.user)).live()

    def _narrowed(self, projects: ProjectQuerySet) -> ProjectQuerySet:
        narrowed = self.token and self.token.project_id
        return projects.filter(pk=narrowed) if narrowed else projects

    def at_hand(self, project_id: int) -> Project | None:
        """The token's own project, where its user owns it: it came with the token and needs no look-up."""
        project = self.token and self.token.project
        if project and project.pk == project_id and project.owner_id == self.user.pk and self.user.is_active:
            project.owner = self.user
            return project
        return None

    def require(self, need: Need) -> None:
        """Raises `PermissionDenied` where the token's scope does not reach."""
        if self.token and self.token.scope not in SCOPES[need]:
            raise PermissionDenied(BEYOND_SCOPE.format(self.token.scope))

    def __str__(self) -> str:
        token = f" by token {self.token.pk}" if self.token else ""
        return f"user {self.user.pk}{token}"


class Unseen(Http404):
    """A product that the caller may not see, or that is none: both read the same."""

    def __init__(self, caller: Caller, project_id: int | None) -> None:
        super().__init__("No such product.")
        self.caller = caller
        self.project_id = project_id


class NotAllowed(PermissionDenied):
    """A product that the caller sees, but may not do this to."""

    def __init__(self, reason: str, caller: Caller, project_id: int) -> None:
        super().__init__(reason)
        self.caller = caller
        self.project_id = project_id


def project_for(caller: Any, project_id: int | str, need: Need = "read") -> Project:
    """The project with that id, for a user or `Caller` who may see it.

    Raises `Unseen`, an `Http404`, for strangers exactly as for a project that does not exist, and
    `NotAllowed`, a `PermissionDenied`, for those who may see it but not do what they need to.
    """
    who: Caller = caller if isinstance(caller, Caller) else Caller(caller)
    key = _key(project_id)
    project = _seen(who, key) if key else None
    if project is None:
        raise Unseen(who, key)
    if reason := _against(who, project, need):
        raise NotAllowed(reason, who, project.pk)
    return project


def _against(who: Caller, project: Project, need: Need) -> str:
    """What speaks against it; "" for nothing."""
    if who.token and who.token.scope not in SCOPES[need]:
        return BEYOND_SCOPE.format(who.token.scope)
    if need == "oversee" and not may_oversee(who.user, project):
        return "The audit log is for the owner of this product."
    if need not in (*LOOKING, "oversee") and not may_change(who.user, project):
        return "You may look at this product but not change it."
    return ""


def _seen(who: Caller, key: int) -> Project | None:
    return who.at_hand(key) or who.visible(key).select_related("owner").first()


def role_in(user: Any, project: Project) -> Role | None:
    """A superuser who is neither owner nor member only reads."""
    if project.owner_id == user.pk:
        return "owner"
    role = Membership.objects.filter(project=project, user=user.pk).values_list("role", flat=True).first()
    return role or ("superuser" if user.is_superuser else None)  # type: ignore[return-value]


def may_change(user: Any, project: Project) -> bool:
    """Owners and managers change the budget, tokens and members."""
    return role_in(user, project) in ("owner", "manager")


def may_oversee(user: Any, project: Project) -> bool:
    """Who signed in and what was denied is for the owner, and for superusers, who read everything."""
    return bool(project.owner_id == user.pk or user.is_superuser)


def _key(project_id: int | str) -> int | None:
    """Ids are whole numbers written plainly; anything else is the id of no project."""
    if isinstance(project_id, str):
        plain = project_id.isascii() and project_id.isdecimal() and not project_id.startswith("0")
        project_id = int(project_id) if plain and len(project_id) < 19 else 0
    return project_id if 0 < project_id < 2**63 else None
