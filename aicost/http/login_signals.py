"""What happens around signing in: it is noted, and after too many failures paused.

django-axes counts the failures of each pair of username and address, so that neither an office behind
one address nor an account that somebody attacks is locked out as a whole.
"""

import logging
import math
from datetime import datetime
from typing import Any

from axes.models import AccessAttempt
from axes.signals import user_locked_out
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from aicost.formatting import text as formats
from aicost.http.client_ip import address_of, address_or_none
from aicost.http.sessions import BEGAN
from aicost.presentation.tokens import ZONE
from products import audit
from products.models.audit import Kind
from products.printable import printable

log = logging.getLogger("aicost.access")


def listen() -> None:
    user_logged_in.connect(_signed_in)
    user_logged_out.connect(_signed_out)
    user_login_failed.connect(_failed)
    user_locked_out.connect(_locked_out)


def _signed_in(request: HttpRequest, user: Any, **_: Any) -> None:
    request.session[BEGAN] = timezone.now().timestamp()
    audit.note(Kind.SIGNED_IN, by=user, about=user)


def _signed_out(user: Any, **_: Any) -> None:
    if user is not None:
        audit.note(Kind.SIGNED_OUT, by=user, about=user)


def _failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    if not getattr(request, "axes_locked_out", False):  # that is noted as such
        _tally(Kind.SIGN_IN_FAILED, credentials.get("username", ""), request)


def _locked_out(request: HttpRequest, username: str, **_: Any) -> None:
    _tally(Kind.LOCKED_OUT, username, request)


def note_wrong_password(request: HttpRequest) -> None:
    """Told on the page where it is changed, and as good as a failed sign-in."""
    _tally(Kind.SIGN_IN_FAILED, request.user.get_username(), request)


def _tally(kind: Kind, username: str | None, request: HttpRequest | None) -> None:
    """People type passwords where the name belongs, so of names that are no account's little is kept;
    and of these there is no end, so they share one line."""
    user = get_user_model()._default_manager.filter(username=username).first()
    address = address_of(request) if request else ""
    log.warning("%s: %s from %s", kind.label, f"user {user.pk}" if user else "no account", address or "?")
    whose = f"{user.pk}:{address}" if user else "nobody"
    detail = "" if user else f"no account: {printable(username or '')[:3]}…"
    audit.tally(kind, by=None, whose=whose, about=user, detail=detail)


def paused(request: HttpRequest, _response: Any, credentials: dict[str, Any] | None) -> HttpResponse:
    """The page that django-axes shows to those it locked out."""
    until = _last_failure(request, credentials or {}) + settings.AXES_COOLOFF_TIME
    seconds = max(1, math.ceil((until - timezone.now()).total_seconds()))
    told = {"until": formats.instant(until, ZONE), "wait": formats.plural(math.ceil(seconds / 60), "minute")}
    response = render(request, "registration/paused.html", told, status=429)
    response["Retry-After"] = str(seconds)
    add_never_cache_headers(response)
    return response


def _last_failure(request: HttpRequest, credentials: dict[str, Any]) -> datetime:
    tried = AccessAttempt.objects.filter(
        username=credentials.get("username"), ip_address=address_or_none(request)
    )
    return tried.aggregate(last=Max("attempt_time"))["last"] or timezone.now()
