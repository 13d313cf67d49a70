"""A person's API tokens, newest first: those in use, and those that were."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.safestring import SafeString

from aicost.formatting import html
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


def _tokens_of(user: Any) -> list[ApiToken]:
    """Those that are narrowed to a product the person may see know it."""
    tokens = list(ApiToken.objects.filter(user=user).order_by("-pk"))
    narrowed = {token.project_id for token in tokens if token.project_id}
    seen = Project.objects.visible_to(user).in_bulk(narrowed) if narrowed else {}
    for token in tokens:
        if token.project_id in seen:
            token.project = seen[token.project_id]
    return tokens


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
    if token.project_id is None:
        return "every product"
    # Who was taken out of a product is told nothing more of it, not even a new name.
    return token.project.name if ApiToken.project.is_cached(token) else "no longer yours to see"


def _state(token: ApiToken, now: datetime) -> State:
    if token.revoked_at:
        return "revoked"
    return "expired" if token.expires_at and token.expires_at <= now else "active"


def _moment(at: datetime | None) -> SafeString | str:
    return html.moment(at, ZONE) if at else "never"
