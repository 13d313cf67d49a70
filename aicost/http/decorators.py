"""What all pages share: what browsers may keep of them, and our own words for a wrong address."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import condition, conditional_page
from django.views.decorators.vary import vary_on_headers
from django.views.defaults import page_not_found

from aicost.http import denials
from aicost.http.errors import bad_request

View = Callable[..., HttpResponseBase]

# Compressed here and not by a middleware, which would hold back what the API answers piece by piece. What
# compression could betray of a page, its CSRF token, is masked anew in each, and the length is noised.


def page(view: View) -> View:
    """No cache keeps a page: Back asks for it again, and after signing out it is not to be had."""
    return gzip_page(never_cache(_explained(view)))


def revalidated(view: View) -> View:
    """For fragments and downloads: the browser keeps them and asks, each time, whether they still hold.

    Access comes first, always. Where a view can't tell by `unless_held` that nothing changed, it runs, and
    what is saved is the transfer of the same bytes.
    """
    varied = vary_on_headers("Cookie", "HX-Request")(_explained(view))
    return gzip_page(conditional_page(cache_control(private=True, no_cache=True)(varied)))


def unless_held(request: HttpRequest, key: str, make: Callable[[], HttpResponse]) -> HttpResponse:
    """304 where the browser holds what `aicost.cache`'s key stands for, before anything is made."""
    return condition(etag_func=lambda _: f'"{key}"')(lambda _: make())(request)


def _explained(view: View) -> View:
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
