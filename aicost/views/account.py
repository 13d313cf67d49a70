"""Account pages: API tokens, sign-ins and sessions, password."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout, update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from aicost.formatting import text
from aicost.http import login_signals, sessions
from aicost.http.decorators import page
from aicost.presentation import audit as audit_page
from aicost.presentation import tokens as tokens_page
from aicost.queries import audit as audit_queries
from aicost.url_state.runs import page_from
from products import audit, tokens
from products.forms import OwnTokenForm


@page
@require_http_methods(["GET", "HEAD", "POST"])
def own_tokens(request: HttpRequest) -> HttpResponse:
    """Only the response to the POST contains a new token's text; no session stores it."""
    form = OwnTokenForm(request.user, request.POST if request.method == "POST" else None)
    made = form.issue() if form.is_valid() else None
    status = 422 if form.errors else 200
    listed = tokens_page.page(tokens.tokens_of(request.user), timezone.now(), made)
    context = {"form": OwnTokenForm(request.user) if made else form, **listed}
    return render(request, "aicost/tokens.html", context, status=status)


@page
@require_POST
def revoke_token(request: HttpRequest, token_id: int) -> HttpResponse:
    token = tokens.token_of(request.user, token_id)
    if token is None:
        raise Http404("No such token.")
    tokens.revoke(token, by=request.user)
    messages.success(request, f"“{token}” has been revoked. It no longer works.")
    return redirect("tokens")


@page
@require_safe
def security(request: HttpRequest) -> HttpResponse:
    number = page_from(request.GET.get("page"))
    entries, more = audit_queries.page(audit_queries.sign_ins_of(request.user), number)
    context = {"here": "security", **audit_page.own_sign_ins(number, entries, more)}
    return render(request, "aicost/security.html", context)


@page
@require_POST
def end_sessions(request: HttpRequest) -> HttpResponse:
    ended = sessions.end_others(request.user, keep=request.session.session_key)
    audit.record(audit.Kind.SESSIONS_ENDED, by=request.user, about=request.user, detail=f"{ended} ended")
    message = f"{text.plural(ended, 'other session')} ended." if ended else "There was no other session."
    messages.success(request, message)
    return redirect("security")


@page
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """Every other session contains the hash of the old password, so it ends."""
    person: Any = request.user
    form = PasswordChangeForm(person, request.POST if request.method == "POST" else None)
    if form.is_valid():
        return _change_password(request, form)
    if form.has_error("old_password", "password_incorrect") and _too_many_guesses(request):
        logout(request)
        return redirect("sign-in")
    status = 422 if form.is_bound else 200
    return render(request, "aicost/password.html", {"here": "security", "form": form}, status=status)


def _change_password(request: HttpRequest, form: PasswordChangeForm) -> HttpResponse:
    with transaction.atomic():
        user = form.save()
        audit.record(audit.Kind.PASSWORD_CHANGED, by=user, about=user)
    update_session_auth_hash(request, user)
    messages.success(request, "Your password has been changed. Your other sessions have ended.")
    return redirect("security")


def _too_many_guesses(request: HttpRequest) -> bool:
    """Record a wrong password; True if this session has reached the limit.

    The limit stops somebody at another person's open session from guessing the password.
    """
    login_signals.record_wrong_password(request)
    wrong = request.session["wrong_passwords"] = request.session.get("wrong_passwords", 0) + 1
    return bool(wrong >= settings.AXES_FAILURE_LIMIT)
