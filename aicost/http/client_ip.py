"""From which address a request came, as far as the server itself can tell."""

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from products import audit


def address_of(request: HttpRequest) -> str:
    """ "" where nobody knows.

    Each proxy adds the address that it was called from at the end of X-Forwarded-For. What stands
    before the entries of our own proxies anybody may have written, and nobody reads.
    """
    return _forwarded(request) or _plain(request.META.get("REMOTE_ADDR", ""))


def address_or_none(request: HttpRequest) -> str | None:
    """For django-axes, which has a column of addresses."""
    return address_of(request) or None


def _forwarded(request: HttpRequest) -> str:
    proxies: int = settings.TRUSTED_PROXIES
    told = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    return _plain(told[-proxies].strip()) if 0 < proxies <= len(told) else ""


def _plain(text: str) -> str:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:  # a Unix socket's name, say
        return ""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


class OriginMiddleware:
    """What is noted in the audit log while a request is answered came from its address."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with audit.coming_from(address_of(request)):
            return self.get_response(request)
