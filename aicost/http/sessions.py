"""Database sessions that end at a fixed age, however active."""

from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import db
from django.utils import timezone

SIGNED_IN_AT = "signed_in_at"
"""Session key: the time of sign-in in Unix seconds. Sessions without it have expired."""


class SessionStore(db.SessionStore):
    def _validate_session_key(self, key: str) -> bool:
        """Reject NUL characters, which a cookie can contain but a PostgreSQL query can't."""
        return bool(super()._validate_session_key(key)) and "\0" not in key  # type: ignore[misc]

    def load(self) -> dict[str, Any]:
        """Empty for a signed-in session that is too old."""
        data = super().load()
        if SESSION_KEY in data and not _is_current(data):
            self._session_key = None
            return {}
        return data


def _is_current(data: dict[str, Any]) -> bool:
    signed_in_at: float = data.get(SIGNED_IN_AT, 0)
    return timezone.now().timestamp() < signed_in_at + settings.SESSION_COOKIE_AGE


def end_others(user: Any, keep: str | None) -> int:
    """End a user's sessions except the one with the key `keep`. Returns how many.

    Sessions have no user column, so this reads all of them.
    """
    sessions = SessionStore.get_model_class().objects
    ended = 0
    for session in sessions.filter(expire_date__gt=timezone.now()).exclude(session_key=keep).iterator():
        if session.get_decoded().get(SESSION_KEY) == str(user.pk):
            ended += session.delete()[0]
    return ended
