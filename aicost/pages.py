"""What all pages share: no cache keeps them, and what is wrong in an address is said in our own words."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.defaults import page_not_found

from aicost import denials
from products.models import Project

View = Callable[..., HttpResponseBase]


def page(view: View) -> View:
    @never_cache
    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except ValidationError as error:
            return bad_request(request, error)
        except Http404 as error:  # here, so that it reads the same with DEBUG
            denials.note(error, _asked(request))
            return page_not_found(request, error)
        except PermissionDenied as error:
            denials.note(error, _asked(request))
            raise

    return answer


def _asked(request: HttpRequest) -> str:
    return f"{request.method} {request.path}"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Also Django's own handler of status 400, whose exceptions say nothing to people."""
    wrong = exception.message_dict if isinstance(exception, ValidationError) else {}
    return render(request, "400.html", {"wrong": [(k, " ".join(v)) for k, v in wrong.items()]}, status=400)


def render_product(
    request: HttpRequest, name: str, project: Project, shown: dict[str, Any], status: int = 200
) -> HttpResponse:
    """`name` is the template's, and tells the sidebar which of its links is the current one."""
    return render(request, f"aicost/{name}.html", {"project": project, "here": name, **shown}, status=status)
