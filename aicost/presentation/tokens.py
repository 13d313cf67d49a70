"""A person's API tokens, newest first: the active ones, and those that expired or were revoked."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from django.utils.safestring import SafeString

from aicost.formatting import html
from products.models import ApiToken

State = Literal["active", "expired", "revoked"]

ZONE = ZoneInfo("UTC")
"""A person has no billing zone, and the tokens may be of products in several."""


@dataclass(frozen=True)
class TokenRow:
    id: int
    name: str
    scope: str
    product: str
    created: SafeString | str
    expires: SafeString | str
    last_used: SafeString | str
    state: State


@dataclass(frozen=True)
class NewToken:
    """A token that was just created; its text is never shown again."""

    name: str
    text: str


def page(tokens: list[ApiToken], now: datetime, made: tuple[ApiToken, str] | None = None) -> dict[str, Any]:
    """`tokens` as `products.tokens.tokens_of` returns them; `made` is a new token and its text."""
    rows = [_row(token, now) for token in tokens]
    return {
        "tokens": {
            "active": [row for row in rows if row.state == "active"],
            "ended": [row for row in rows if row.state != "active"],
        },
        "made": made and NewToken(str(made[0]), made[1]),
        "newest": max((row.id for row in rows), default=0),
        "here": "tokens",
    }


def _row(token: Any, now: datetime) -> TokenRow:
    return TokenRow(
        id=token.pk,
        name=str(token),
        scope=token.scope,
        product=_product(token),
        created=_moment(token.created_at),
        expires=_moment(token.expires_at),
        last_used=_moment(token.last_used_at),
        state=_state(token, now),
    )


def _product(token: Any) -> str:
    if token.project_id is None:
        return "every product"
    # People who lost access learn nothing more about the product, not even a new name.
    return token.project.name if ApiToken.project.is_cached(token) else "you no longer have access"


def _state(token: ApiToken, now: datetime) -> State:
    if token.revoked_at:
        return "revoked"
    return "expired" if token.expires_at and token.expires_at <= now else "active"


def _moment(at: datetime | None) -> SafeString | str:
    return html.moment(at, ZONE) if at else "never"
