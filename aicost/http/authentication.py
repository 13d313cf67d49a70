"""Authenticate API requests: by the token in the header, or else by the session, with CSRF protection."""

import logging
from datetime import timedelta

from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils import timezone

from aicost.http.client_ip import client_ip
from aicost.http.request_log import add_to_log
from products import tokens
from products.access import Caller, Unauthenticated
from products.models import ApiToken
from products.printable import printable

log = logging.getLogger("aicost.access")

BAD_TOKENS_A_MINUTE = 20
"""Invalid tokens per client address before the answer is `TooManyBadTokens`. Valid tokens always pass, so
nobody is locked out by others behind the same proxy."""
LAST_USED_RESOLUTION = timedelta(hours=1)


class TooManyBadTokens(PermissionDenied):
    """A client address sent too many invalid tokens within a minute."""


def caller_of(request: HttpRequest) -> Caller:
    """Raises `Unauthenticated`, or `TooManyBadTokens` if the client address keeps sending invalid tokens."""
    header = request.headers.get("Authorization")
    if header is not None:
        caller = _by_token(request, header)
        add_to_log(user=caller.user.pk, token=caller.token and caller.token.pk)
        return caller
    if request.user.is_authenticated:
        return Caller(request.user)
    raise Unauthenticated("Sign in, or send a token as `Authorization: Bearer …`.")


def require_csrf(request: HttpRequest, caller: Caller) -> None:
    """Require Django's CSRF token of a session that changes something. Raises `PermissionDenied`.

    Pages of other sites can send the session cookie, but not the token.
    """
    if caller.token is None and _CsrfCheck(_no_view).process_view(request, _no_view, (), {}):
        raise PermissionDenied("The CSRF token is missing or wrong: send the cookie's value as X-CSRFToken.")


def _no_view(request: HttpRequest) -> HttpResponse:
    raise AssertionError("the check never calls the view")


class _CsrfCheck(CsrfViewMiddleware):
    """Django's check, which returns the reason instead of a response."""

    def _reject(self, request: HttpRequest, reason: str) -> str:
        return reason


def _by_token(request: HttpRequest, header: str) -> Caller:
    # In OTEL_EXPORTER_OTLP_HEADERS a space is written %20. Claude Code and LiteLLM send that as it stands.
    kind, _, text = header.replace("%20", " ", 1).partition(" ")
    token = tokens.find(text.strip()) if kind.lower() == "bearer" else None
    if token is None:
        _count_bad_token(request)
        raise Unauthenticated("The token is not valid: unknown, revoked or expired.")
    _update_last_used(token)
    return Caller(token.user, token)


def _count_bad_token(request: HttpRequest) -> None:
    address = client_ip(request) or printable(request.META.get("REMOTE_ADDR", ""))
    key = f"bad-tokens:{address}"
    cache.add(key, 0, timeout=60)
    try:
        tries = cache.incr(key)
    except ValueError:  # the counter expired in between
        tries = 1
    log.warning("bad token from %s, try %d", address, tries)
    if tries > BAD_TOKENS_A_MINUTE:
        raise TooManyBadTokens("Too many bad tokens from this address; wait a minute.")


def _update_last_used(token: ApiToken) -> None:
    """At most once an hour, so that most reads write nothing."""
    now = timezone.now()
    if token.last_used_at is None or token.last_used_at <= now - LAST_USED_RESOLUTION:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
