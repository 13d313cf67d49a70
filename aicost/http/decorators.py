"""View decorators for browser caching, compression and error pages."""

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

# Pages are compressed here and not by a middleware, which would buffer the API's streams. Compression can't
# reveal the CSRF token of a page: each response masks it differently, and Django varies the length.


def page(view: View) -> View:
    """For pages. No cache stores them: Back loads them again, so none is left after signing out."""
    return gzip_page(never_cache(_with_error_pages(view)))


def revalidated(view: View) -> View:
    """For fragments and downloads, which the browser stores but revalidates before each use.

    The view always runs and checks access. Unless it calls `respond_unless_cached`, a 304 saves only the
    transfer.
    """
    varied = vary_on_headers("Cookie", "HX-Request")(_with_error_pages(view))
    return gzip_page(conditional_page(cache_control(private=True, no_cache=True)(varied)))


def respond_unless_cached(
    request: HttpRequest, key: str, respond: Callable[[], HttpResponse]
) -> HttpResponse:
    """`respond()`, or at once a 304 if the browser has the response with that key of `aicost.cache`."""
    return condition(etag_func=lambda _: f'"{key}"')(lambda _: respond())(request)


def _with_error_pages(view: View) -> View:
    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except ValidationError as error:
            return bad_request(request, error)
        except Http404 as error:  # here, so that the page is the same with DEBUG
            denials.record(error, _request_line(request))
            return page_not_found(request, error)
        except PermissionDenied as error:
            denials.record(error, _request_line(request))
            raise

    return wrapped


def _request_line(request: HttpRequest) -> str:
    return f"{request.method} {request.path}"
