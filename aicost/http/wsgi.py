"""Django's WSGI handler, made robust against Content-Type headers that Django can't read."""

from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest


class TolerantRequest(WSGIRequest):
    """Takes an unreadable Content-Type for a missing one, so that views refuse it with status 415.

    Django itself would raise before the first middleware, for example on `charset=hex`, which names a
    Python codec that decodes no text. The server would answer 500.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            super()._set_content_type_params(meta)  # type: ignore[misc]
        except (LookupError, ValueError):
            self.content_type, self.content_params = "", {}
            self._encoding = None
        except SuspiciousOperation:
            pass  # too many parameters; raised again where the query is used, and answered there


class Handler(WSGIHandler):
    request_class = TolerantRequest
