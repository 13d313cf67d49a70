"""A person's API tokens, newest first: those in use, and those that were."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.safestring import SafeString

from aicost import markup
from products.models import ApiToken, Project

State = Literal["active", "expired", "revoked"]

ZONE = ZoneInfo("UTC")
"""A person has no billing zone, and the tokens may be of products in several."""


@dataclass(frozen=True)
class TokenRow:
    id: int
    name: str
    scope: str
    product: str
    made: SafeString | str
    expires: SafeString | str
    last_used: SafeString | str
    state: State


@dataclass(frozen=True)
class MadeToken:
    """Just made: the only time that its text is known."""

    name: str
    text: str


def page(user: Any, made: tuple[ApiToken, str] | None = None) -> dict[str, Any]:
    now = timezone.now()
    rows = [_row(token, now) for token in _tokens_of(user)]
    return {
        "tokens": {
            "active": [row for row in rows if row.state == "active"],
            "ended": [row for row in rows if row.state != "active"],
        },
        "made": made and MadeToken(str(made[0]), made[1]),
        "newest": max((row.id for row in rows), default=0),
        "here": "tokens",
    }


def _tokens_of(user: Any) -> Any:
    seen = Project.objects.visible_to(user).filter(pk=OuterRef("project"))
    return (
        ApiToken.objects.filter(user=user)
        .select_related("project")
        .annotate(seen=Exists(seen))
        .order_by("-pk")
    )


def _row(token: Any, now: datetime) -> TokenRow:
    return TokenRow(
        id=token.pk,
        name=str(token),
        scope=token.scope,
        product=_product(token),
        made=_moment(token.created_at),
        expires=_moment(token.expires_at),
        last_used=_moment(token.last_used_at),
        state=_state(token, now),
    )


def _product(token: Any) -> str:
    if token.project is None:
        return "every product"
    # Who was taken out of a product is told nothing more of it, not even a new name.
    return token.project.name if token.seen else "no longer yours to see"


def _state(token: ApiToken, now: datetime) -> State:
    if token.revoked_at:
        return "revoked"
    return "expired" if token.expires_at and token.expires_at <= now else "active"


def _moment(at: datetime | None) -> SafeString | str:
    return markup.moment(at, ZONE) if at else "never"
