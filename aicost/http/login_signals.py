"""Record sign-ins in the audit log, and answer those that django-axes locked out.

django-axes counts failures per username and client address together, so neither everyone behind an
address nor everyone who uses an attacked account is locked out.
"""

import logging
import math
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

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

from aicost.formatting import text
from aicost.http.client_ip import client_ip, client_ip_or_none
from aicost.http.sessions import SIGNED_IN_AT
from products import audit
from products.models.audit import Kind
from products.printable import printable

log = logging.getLogger("aicost.access")


def connect() -> None:
    user_logged_in.connect(_signed_in)
    user_logged_out.connect(_signed_out)
    user_login_failed.connect(_failed)
    user_locked_out.connect(_locked_out)


def _signed_in(request: HttpRequest, user: Any, **_: Any) -> None:
    request.session[SIGNED_IN_AT] = timezone.now().timestamp()
    audit.record(Kind.SIGNED_IN, by=user, about=user)


def _signed_out(user: Any, **_: Any) -> None:
    if user is not None:
        audit.record(Kind.SIGNED_OUT, by=user, about=user)


def _failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    if not getattr(request, "axes_locked_out", False):  # `_locked_out` counts it
        _count(Kind.SIGN_IN_FAILED, credentials.get("username", ""), request)


def _locked_out(request: HttpRequest, username: str, **_: Any) -> None:
    _count(Kind.LOCKED_OUT, username, request)


def record_wrong_password(request: HttpRequest) -> None:
    """A wrong current password on the password page counts as a failed sign-in."""
    _count(Kind.SIGN_IN_FAILED, request.user.get_username(), request)


def _count(kind: Kind, username: str | None, request: HttpRequest | None) -> None:
    """Count a failed attempt.

    Unknown usernames are shortened, because people type passwords into the wrong field. They share one
    entry, because there can be any number of them.
    """
    user = get_user_model()._default_manager.filter(username=username).first()
    address = client_ip(request) if request else ""
    log.warning("%s: %s from %s", kind.label, f"user {user.pk}" if user else "no account", address or "?")
    counter = f"{user.pk}:{address}" if user else "nobody"
    detail = "" if user else f"no account: {printable(username or '')[:3]}…"
    audit.count(kind, by=None, counter=counter, about=user, detail=detail)


def lockout_response(
    request: HttpRequest, _response: Any, credentials: dict[str, Any] | None
) -> HttpResponse:
    """The page for a locked-out user, with the time at which they can try again."""
    until = _last_failure(request, credentials or {}) + settings.AXES_COOLOFF_TIME
    seconds = max(1, math.ceil((until - timezone.now()).total_seconds()))
    context = {
        "until": text.instant(until, ZoneInfo("UTC")),
        "wait": text.plural(math.ceil(seconds / 60), "minute"),
    }
    response = render(request, "registration/paused.html", context, status=429)
    response["Retry-After"] = str(seconds)
    add_never_cache_headers(response)
    return response


def _last_failure(request: HttpRequest, credentials: dict[str, Any]) -> datetime:
    attempts = AccessAttempt.objects.filter(
        username=credentials.get("username"), ip_address=client_ip_or_none(request)
    )
    return attempts.aggregate(last=Max("attempt_time"))["last"] or timezone.now()
