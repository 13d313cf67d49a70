"""Who calls: a token in the header, else the signed-in session, whose changes need a CSRF token."""

import logging
from datetime import timedelta

from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils import timezone

from aicost.api.errors import TooManyBadTokens
from aicost.http.client_ip import address_of
from aicost.http.request_log import note
from products import tokens
from products.access import Caller, Unauthenticated
from products.models import ApiToken
from products.printable import printable

log = logging.getLogger("aicost.access")

BAD_TOKENS_A_MINUTE = 20
"""From one address; beyond it bad tokens are told to slow down. Good ones always pass, so that one
bad neighbour behind a proxy locks nobody out."""
USE_IS_NOTED_EVERY = timedelta(hours=1)


def caller_of(request: HttpRequest) -> Caller:
    """Raises `Unauthenticated` where nobody is recognised, `TooManyBadTokens` where somebody guesses."""
    header = request.headers.get("Authorization")
    if header is not None:
        caller = _by_token(request, header)
        note(user=caller.user.pk, token=caller.token and caller.token.pk)
        return caller
    if request.user.is_authenticated:
        return Caller(request.user)
    raise Unauthenticated("Sign in, or send a token as `Authorization: Bearer …`.")


def require_csrf(request: HttpRequest, caller: Caller) -> None:
    """A change by session needs Django's CSRF token: other sites' pages could send the cookie alone."""
    if caller.token is None and _Csrf(_no_view).process_view(request, _no_view, (), {}):
        raise PermissionDenied("The CSRF token is missing or wrong: send the cookie's value as X-CSRFToken.")


def _no_view(request: HttpRequest) -> HttpResponse:
    raise AssertionError("only the check is wanted")


class _Csrf(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> str:
        return reason


def _by_token(request: HttpRequest, header: str) -> Caller:
    kind, _, text = header.partition(" ")
    token = tokens.find(text.strip()) if kind.lower() == "bearer" else None
    if token is None:
        _count_bad_token(request)
        raise Unauthenticated("The token is not valid: unknown, revoked or expired.")
    _note_use(token)
    return Caller(token.user, token)


def _count_bad_token(request: HttpRequest) -> None:
    address = address_of(request) or printable(request.META.get("REMOTE_ADDR", ""))
    key = f"bad-tokens:{address}"
    cache.add(key, 0, timeout=60)
    try:
        tries = cache.incr(key)
    except ValueError:  # it expired in between
        tries = 1
    log.warning("bad token from %s, try %d", address, tries)
    if tries > BAD_TOKENS_A_MINUTE:
        raise TooManyBadTokens("Too many bad tokens from this address; wait a minute.")


def _note_use(token: ApiToken) -> None:
    """Written at most once an hour: reading should not write."""
    now = timezone.now()
    if token.last_used_at is None or token.last_used_at <= now - USE_IS_NOTED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
