"""Issue, look up and revoke API tokens. A token's text is shown once; the database has only its hash."""

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
"""Lets people and secret scanners recognise a leaked token."""

_TOKEN = re.compile(rf"{PREFIX}([A-Za-z0-9_-]{{43}})", re.ASCII)


class AlreadyIssued(Exception):
    """The form was sent twice, or was rendered before another form issued such a token."""


def issue(
    user: Any,
    *,
    scope: str = ApiToken.Scope.READ,
    project: Project | None = None,
    name: str = "",
    expires_at: datetime | None = None,
    by: Any = None,
) -> tuple[ApiToken, str]:
    """Create a token. Returns it with its text, which can't be read again.

    Raises `PermissionDenied` as `check` does.
    """
    check(user, scope=scope, project=project)
    token = ApiToken(user=user, scope=scope, project=project, name=name, expires_at=expires_at)
    return token, make(token, by=by)


def newest(user: Any) -> int:
    """The id of a user's newest token, or 0. A form for a new token sends it along."""
    return ApiToken.objects.filter(user=user).order_by("-pk").values_list("pk", flat=True).first() or 0


@transaction.atomic
def issue_once(
    user: Any, *, scope: str, project: Project | None, newest: int, **details: Any
) -> tuple[ApiToken, str]:
    """Like `issue`, but a form issues one token even if the browser sends it again, as a reload does.

    `newest` is the user's newest token when the form was rendered. Raises `AlreadyIssued` if such a token
    has been issued since.
    """
    # A double click sends the form twice at once: the second request waits here for the first.
    get_user_model().objects.select_for_update(no_key=True).get(pk=user.pk)
    if ApiToken.objects.filter(user=user, scope=scope, project=project, pk__gt=newest).exists():
        raise AlreadyIssued
    return issue(user, scope=scope, project=project, **details)


def check(user: Any, *, scope: str, project: Project | None) -> None:
    """Raise `PermissionDenied` if the user may not have such a token.

    A token can only be limited to a project that its user sees; an ingest token needs its owner or a manager.
    """
    if project is not None and not Project.objects.visible_to(user, project.pk).exists():
        raise PermissionDenied(f"{user} has no access to this product.")
    if scope == ApiToken.Scope.INGEST:
        if project is None:
            raise PermissionDenied("An ingest token must name the product that its usage goes to.")
        if not may_change(user, project):
            raise PermissionDenied(
                "Only the owner or a manager of a product can have an ingest token for it."
            )


@transaction.atomic
def make(token: ApiToken, *, by: Any = None) -> str:
    """Give a checked token its secret, save it, and return its text."""
    secret = secrets.token_bytes(32)
    token.token_hash = _hash(secret)
    token.save()
    _record(audit.Kind.TOKEN_MADE, token, by)
    return PREFIX + base64.urlsafe_b64encode(secret).decode().rstrip("=")


def find(text: str) -> ApiToken | None:
    """The token with that text, with its user and project; None if unknown, revoked or expired."""
    match = _TOKEN.fullmatch(text)
    if not match:
        return None
    secret = base64.urlsafe_b64decode(match[1] + "=")
    tokens = ApiToken.objects.valid_at(timezone.now()).filter(user__is_active=True)
    token = tokens.select_related("user").filter(token_hash=_hash(secret)).first()
    if token and token.project_id:
        # Not a join: on a cluster, tokens are stored with users, and a join would query every machine.
        token.project = Project.objects.get(pk=token.project_id)
    return token


@transaction.atomic
def revoke(token: ApiToken, *, by: Any = None) -> None:
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        _record(audit.Kind.TOKEN_REVOKED, token, by)


def _record(kind: audit.Kind, token: ApiToken, by: Any) -> None:
    detail = f"{token.scope} “{token}” of {token.user}"
    audit.record(kind, by=by, about=token.user, project=token.project, detail=detail)


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
