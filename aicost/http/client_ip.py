"""The client address of a request, and its place in audit entries."""

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from products import audit


def client_ip(request: HttpRequest) -> str:
    """The client's IP address, "" if unknown.

    Each proxy appends the address of its own caller to X-Forwarded-For. Only the entries of the trusted
    proxies count: a client can send anything before them.
    """
    return _forwarded(request) or _normalized(request.META.get("REMOTE_ADDR", ""))


def client_ip_or_none(request: HttpRequest) -> str | None:
    """For django-axes, which stores the address in a nullable column."""
    return client_ip(request) or None


def _forwarded(request: HttpRequest) -> str:
    proxies: int = settings.TRUSTED_PROXIES
    addresses = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    return _normalized(addresses[-proxies].strip()) if 0 < proxies <= len(addresses) else ""


def _normalized(text: str) -> str:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:  # such as the name of a Unix socket
        return ""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


class ClientIPMiddleware:
    """Gives audit entries recorded during a request its client address."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with audit.from_address(client_ip(request)):
            return self.get_response(request)
