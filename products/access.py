"""Access to projects: who may see one, who may change it, and what a token's scope allows."""

from dataclasses import dataclass
from typing import Any, Literal

from django.core.exceptions import PermissionDenied
from django.http import Http404

from products.models import ApiToken, Membership, Project, ProjectQuerySet

Need = Literal["read", "ask", "change", "reserve", "ingest", "view_audit_log", "view_prices"]
Role = Literal["owner", "manager", "viewer", "superuser"]

SCOPES: dict[Need, set[str]] = {
    "read": {ApiToken.Scope.READ, ApiToken.Scope.WRITE},
    "ask": {ApiToken.Scope.READ, ApiToken.Scope.WRITE, ApiToken.Scope.INGEST},
    "change": {ApiToken.Scope.WRITE},
    "reserve": {ApiToken.Scope.WRITE, ApiToken.Scope.INGEST},
    "ingest": {ApiToken.Scope.INGEST},
    "view_audit_log": set(),
    "view_prices": set(),
}
"""The token scopes that allow each need. The token's user must have the right, too."""
_NEEDS_OF_VIEWERS: set[Need] = {"read", "ask"}
"""What everyone who sees a project may do. Other needs take an owner or manager, the audit log its owner."""

_SCOPE_REFUSED = "A token with the scope {} may not do this."


class Unauthenticated(PermissionDenied):
    """The request has no credentials, or its token is unknown, revoked or expired."""


@dataclass(frozen=True)
class Caller:
    """A signed-in user, or a user's API token, which may be limited to one project."""

    user: Any
    token: ApiToken | None = None

    def visible(self, key: int | None = None) -> ProjectQuerySet:
        """The projects that the caller may read; with `key`, only the one with that id."""
        return self._within_token(Project.objects.visible_to(self.user, key))

    def owned(self) -> ProjectQuerySet:
        return self._within_token(Project.objects.owned_by(self.user)).unarchived()

    def _within_token(self, projects: ProjectQuerySet) -> ProjectQuerySet:
        only = self.token and self.token.project_id
        return projects.filter(pk=only) if only else projects

    def token_project(self, project_id: int) -> Project | None:
        """The token's project, if it has that id and the token's user owns it.

        It was loaded together with the token, so this needs no query.
        """
        project = self.token and self.token.project
        if project and project.pk == project_id and project.owner_id == self.user.pk and self.user.is_active:
            project.owner = self.user
            return project
        return None

    def require(self, need: Need) -> None:
        """Raise `PermissionDenied` if the token's scope does not allow it."""
        if self.token and self.token.scope not in SCOPES[need]:
            raise PermissionDenied(_SCOPE_REFUSED.format(self.token.scope))

    def __str__(self) -> str:
        token = f" by token {self.token.pk}" if self.token else ""
        return f"user {self.user.pk}{token}"


class ProjectNotFound(Http404):
    """The project does not exist, or the caller may not see it; the message is the same for both."""

    def __init__(self, caller: Caller, project_id: int | None) -> None:
        super().__init__("No such product.")
        self.caller = caller
        self.project_id = project_id


class NotAllowed(PermissionDenied):
    """The caller may see the project but not do this with it."""

    def __init__(self, reason: str, caller: Caller, project_id: int) -> None:
        super().__init__(reason)
        self.caller = caller
        self.project_id = project_id


def project_for(caller: Any, project_id: int | str, need: Need = "read") -> Project:
    """The project with that id, if the caller (a user or a `Caller`) may do what `need` names.

    Raises `ProjectNotFound`, an `Http404`, for a project that the caller may not see, exactly as for one
    that does not exist; and `NotAllowed`, a `PermissionDenied`, for one that they may only see.
    """
    caller = caller if isinstance(caller, Caller) else Caller(caller)
    key = _parsed_id(project_id)
    project = _visible_project(caller, key) if key else None
    if project is None:
        raise ProjectNotFound(caller, key)
    if reason := _refusal(caller, project, need):
        raise NotAllowed(reason, caller, project.pk)
    return project


def _refusal(caller: Caller, project: Project, need: Need) -> str:
    """Why the caller may not do this, or ""."""
    if caller.token and caller.token.scope not in SCOPES[need]:
        return _SCOPE_REFUSED.format(caller.token.scope)
    if need == "view_audit_log":
        allowed = may_view_audit_log(caller.user, project)
        return "" if allowed else "Only the owner of this product can view its audit log."
    if need == "view_prices":
        allowed = may_change(caller.user, project) or caller.user.is_superuser
        return "" if allowed else "Only the owner and managers of this product can view its prices."
    if need not in _NEEDS_OF_VIEWERS and not may_change(caller.user, project):
        return "You can view this product but not change it."
    return ""


def _visible_project(caller: Caller, key: int) -> Project | None:
    return caller.token_project(key) or caller.visible(key).select_related("owner").first()


def role_in(user: Any, project: Project) -> Role | None:
    """The user's role, or None. A superuser who is neither owner nor member may only read."""
    if project.owner_id == user.pk:
        return "owner"
    role = Membership.objects.filter(project=project, user=user.pk).values_list("role", flat=True).first()
    return role or ("superuser" if user.is_superuser else None)  # type: ignore[return-value]


def may_change(user: Any, project: Project) -> bool:
    """Owners and managers may change the budget, tokens and members."""
    return role_in(user, project) in ("owner", "manager")


def may_view_audit_log(user: Any, project: Project) -> bool:
    """The owner may, and superusers, who read everything: the log has members' sign-ins and denials."""
    return bool(project.owner_id == user.pk or user.is_superuser)


def _parsed_id(project_id: int | str) -> int | None:
    """The id as a number, or None if it can't be one: no sign, space or leading zero, at most 64 bits."""
    if isinstance(project_id, str):
        plain = project_id.isascii() and project_id.isdecimal() and not project_id.startswith("0")
        project_id = int(project_id) if plain and len(project_id) < 19 else 0
    return project_id if 0 < project_id < 2**63 else None
