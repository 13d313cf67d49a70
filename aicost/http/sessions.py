"""Sessions in the database: looked up only by keys that it takes, and over at a fixed age."""

from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import db
from django.utils import timezone

BEGAN = "signed_in_at"
"""When the person signed in, in seconds. A session that doesn't say is of a time before it had to."""


class SessionStore(db.SessionStore):
    def _validate_session_key(self, key: str) -> bool:
        """A cookie may quote a NUL, for which PostgreSQL can't be asked: it is the key of no session."""
        return bool(super()._validate_session_key(key)) and "\0" not in key  # type: ignore[misc]

    def load(self) -> dict[str, Any]:
        """Nothing of a signed-in session that is too old, however busy it was."""
        data = super().load()
        if SESSION_KEY in data and not _is_young(data):
            self._session_key = None
            return {}
        return data


def _is_young(data: dict[str, Any]) -> bool:
    began: float = data.get(BEGAN, 0)
    return timezone.now().timestamp() < began + settings.SESSION_COOKIE_AGE


def end_others(user: Any, keep: str | None) -> int:
    """End a person's sessions but the one with that key. No column says whose they are: all are read."""
    sessions = SessionStore.get_model_class().objects
    ended = 0
    for session in sessions.filter(expire_date__gt=timezone.now()).exclude(session_key=keep).iterator():
        if session.get_decoded().get(SESSION_KEY) == str(user.pk):
            ended += session.delete()[0]
    return ended
