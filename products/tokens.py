"""API tokens: made, found, revoked. A token is shown once; the database knows only its hash."""

import base64
import hashlib
import re
import secrets
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from products import audit
from products.access import may_change
from products.models import ApiToken, Project

PREFIX = "aicost_"
"""Tells a leaked token for what it is, to people and to scanners."""

_TOKEN = re.compile(rf"{PREFIX}([A-Za-z0-9_-]{{43}})", re.ASCII)


class MadeAlready(Exception):  # what happened, as with Django's own
    """A form was sent again, or one that was drawn before another made such a token."""


def issue(
    user: Any,
    *,
    scope: str = ApiToken.Scope.READ,
    project: Project | None = None,
    name: str = "",
    expires_at: datetime | None = None,
    by: Any = None,
) -> tuple[ApiToken, str]:
    """Make a token and its text, which nobody can read again. Raises `PermissionDenied` as `check` does."""
    check(user, scope=scope, project=project)
    token = ApiToken(user=user, scope=scope, project=project, name=name, expires_at=expires_at)
    return token, make(token, by=by)


def newest(user: Any) -> int:
    """The id of the newest token of a person's, 0 for none: what a form for one more has to tell."""
    return ApiToken.objects.filter(user=user).order_by("-pk").values_list("pk", flat=True).first() or 0


@transaction.atomic
def issue_once(
    user: Any, *, scope: str, project: Project | None, newest: int, **told: Any
) -> tuple[ApiToken, str]:
    """`issue`, but a form makes one token however often a browser sends it: reloading the answer does.

    `newest` is what it was when the form was drawn. Raises `MadeAlready` where such a token came since.
    """
    # A double click sends the form twice at the same time: the second waits here for the first.
    get_user_model().objects.select_for_update(no_key=True).get(pk=user.pk)
    if ApiToken.objects.filter(user=user, scope=scope, project=project, pk__gt=newest).exists():
        raise MadeAlready
    return issue(user, scope=scope, project=project, **told)


def check(user: Any, *, scope: str, project: Project | None) -> None:
    """Raises `PermissionDenied` where the user may not have such a token.

    A token is narrowed to a project that its user sees; bringing usage in needs its owner or a manager.
    """
    if project is not None and not Project.objects.visible_to(user, project.pk).exists():
        raise PermissionDenied(f"{user} may not see this product.")
    if scope == ApiToken.Scope.INGEST:
        if project is None:
            raise PermissionDenied("An ingest token names the product that its usage goes to.")
        if not may_change(user, project):
            raise PermissionDenied("An ingest token needs the owner or a manager of its product.")


@transaction.atomic
def make(token: ApiToken, *, by: Any = None) -> str:
    """Give a token that was checked its secret, save it, and answer its text."""
    secret = secrets.token_bytes(32)
    token.token_hash = _hash(secret)
    token.save()
    _note(audit.Kind.TOKEN_MADE, token, by)
    return PREFIX + base64.urlsafe_b64encode(secret).decode().rstrip("=")


def find(text: str) -> ApiToken | None:
    """The usable token of that text, with its user and project; None for any other."""
    match = _TOKEN.fullmatch(text)
    if not match:
        return None
    secret = base64.urlsafe_b64decode(match[1] + "=")
    tokens = ApiToken.objects.usable(timezone.now()).filter(user__is_active=True)
    token = tokens.select_related("user").filter(token_hash=_hash(secret)).first()
    if token and token.project_id:
        # By its key: tokens are kept beside people, and a join would ask every machine that has projects.
        token.project = Project.objects.get(pk=token.project_id)
    return token


@transaction.atomic
def revoke(token: ApiToken, *, by: Any = None) -> None:
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        _note(audit.Kind.TOKEN_REVOKED, token, by)


def _note(kind: audit.Kind, token: ApiToken, by: Any) -> None:
    told = f"{token.scope} “{token}” of {token.user}"
    audit.note(kind, by=by, about=token.user, project=token.project, detail=told)


def _hash(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()


def tokens_of(user: Any) -> list[ApiToken]:
    """A person's tokens, newest first. `project` is loaded where the person can view it now."""
    tokens = list(ApiToken.objects.filter(user=user).order_by("-pk"))
    narrowed = {token.project_id for token in tokens if token.project_id}
    visible = Project.objects.visible_to(user).in_bulk(narrowed) if narrowed else {}
    for token in tokens:
        if token.project_id in visible:
            token.project = visible[token.project_id]
    return tokens


def token_of(user: Any, token_id: int) -> ApiToken | None:
    """The person's token with that id."""
    return ApiToken.objects.filter(user=user.pk, pk=token_id).first()
