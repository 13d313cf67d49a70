"""Sessions in the database, looked up only by keys that the database takes."""

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    def _validate_session_key(self, key: str) -> bool:
        """A cookie may quote a NUL, for which PostgreSQL can't be asked: it is the key of no session."""
        return bool(super()._validate_session_key(key)) and "\0" not in key  # type: ignore[misc]
