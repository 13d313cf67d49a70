"""A person's own API tokens: listed, made, revoked."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from aicost.pages import page
from aicost.presentation import tokens as tokens_shown
from products import tokens
from products.forms import OwnTokenForm
from products.models import ApiToken


@page
@require_http_methods(["GET", "HEAD", "POST"])
def own_tokens(request: HttpRequest) -> HttpResponse:
    """A new token's text stands in the answer to the POST and nowhere else: no session keeps it."""
    form = OwnTokenForm(request.user, request.POST if request.method == "POST" else None)
    made = form.issue() if form.is_valid() else None
    status = 422 if form.errors else 200
    shown = {"form": OwnTokenForm(request.user) if made else form, **tokens_shown.page(request.user, made)}
    return render(request, "aicost/tokens.html", shown, status=status)


@page
@require_POST
def revoke_token(request: HttpRequest, token_id: int) -> HttpResponse:
    token = ApiToken.objects.filter(user=request.user.pk, pk=token_id).first()
    if token is None:
        raise Http404("No such token.")
    tokens.revoke(token)
    messages.success(request, f"“{token}” is revoked: nobody can use it any more.")
    return redirect("tokens")
