"""A POST to a host that users chose and that may be hostile.

The host name is resolved once, all its addresses are checked, and the connection goes to one of these
addresses: a second look-up could give another result. Redirects are not followed, and only the status of
the response is read. Proxies named in the environment are not used.
"""

import ipaddress
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

from billing.alerts import Undelivered

TIMEOUT = 10.0
"""Seconds for the whole exchange, after the name is resolved."""
MAX_URL_LENGTH = 2000
_MAX_READ = 8192
_MAX_ADDRESSES_TRIED = 3

_VISIBLE = re.compile(r"[!-~]+")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?\r?\n")
# Not on the public internet, although some versions of `ipaddress` call them public: addresses of protocols
# (a cloud's metadata service is at 192.0.0.192), the 6to4 relay, and documentation.
_NOT_PUBLIC = [ipaddress.ip_network(one) for one in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")]
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Address:
    """The parts of a URL that a request needs."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.secure else "http"] else f"{host}:{self.port}"


def read_url(url: str) -> Address:
    """Split a URL into its parts. Raises `ValidationError`."""
    if len(url) > MAX_URL_LENGTH or not _VISIBLE.fullmatch(url) or "\\" in url:
        raise ValidationError(f"The URL must be at most {MAX_URL_LENGTH} visible ASCII characters.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValidationError("This is not a URL.") from None
    allowed = ("https", "http") if settings.WEBHOOK_ALLOW_PRIVATE else ("https",)
    if parts.scheme not in allowed:
        raise ValidationError(f"The URL must begin with {' or '.join(f'{scheme}://' for scheme in allowed)}.")
    if "@" in parts.netloc:
        raise ValidationError("The URL must not contain a user name or password.")
    if not (_NAME.fullmatch(host) or _is_address(host)) or port == 0:
        raise ValidationError("The URL must name a host, with a valid port if it has one.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(parts.scheme == "https", host, port or _PORTS[parts.scheme], path)


def _is_address(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host)) and "%" not in host
    except ValueError:
        return False


def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Return the status of the response. Raises `Undelivered` if there is none."""
    try:
        address = read_url(url)
    except ValidationError as error:
        raise Undelivered(error.messages[0]) from error
    hosts = resolve(address)
    until = monotonic() + TIMEOUT
    try:
        with _connected(hosts, address, until) as connection:
            connection.sendall(_request(address, body, headers))
            return _status(connection, until)
    except TimeoutError as error:
        raise Undelivered(f"It did not answer within {TIMEOUT:.0f} seconds.") from error
    except ssl.SSLCertVerificationError as error:
        raise Undelivered("Its certificate is not trusted for this host name.") from error
    except ssl.SSLError as error:
        raise Undelivered("No secure connection could be established.") from error
    except OSError as error:
        raise Undelivered("The connection failed or was interrupted.") from error


def resolve(address: Address) -> list[Any]:
    """Addresses of the host, as from `getaddrinfo`. Raises `Undelivered` unless all are public."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Undelivered("The host name could not be resolved.") from error
    if not settings.WEBHOOK_ALLOW_PRIVATE and not all(is_public(str(entry[4][0])) for entry in found):
        raise Undelivered("The host name resolves to an address that is not public.")
    return found[:_MAX_ADDRESSES_TRIED]


def is_public(text: str) -> bool:
    """Whether an address is on the public internet, and so is any address embedded in it."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return is_public(str(address.ipv4_mapped))
        if address.sixtofour or address.teredo or address.is_site_local:
            return False
    if any(address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _connected(hosts: list[Any], address: Address, until: float) -> socket.socket:
    for number, (family, kind, protocol, _, at) in enumerate(hosts, start=1):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(_left(until))
            connection.connect(at)
            return _secured(connection, address) if address.secure else connection
        except OSError as error:
            connection.close()
            if number == len(hosts) or isinstance(error, ssl.SSLError):
                raise
    raise OSError("there is no address")


def _secured(connection: socket.socket, address: Address) -> ssl.SSLSocket:
    """The certificate must be valid for the host name, whichever address is used."""
    return ssl.create_default_context().wrap_socket(connection, server_hostname=address.host)


def _request(address: Address, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"POST {address.path} HTTP/1.1", f"Host: {address.authority}", f"Content-Length: {len(body)}"]
    lines += [*(f"{name}: {value}" for name, value in headers.items()), "Connection: close", "", ""]
    return "\r\n".join(lines).encode("ascii") + body


def _status(connection: socket.socket, until: float) -> int:
    """Status of the first response that is not an interim one (1xx)."""
    read = b""
    while len(read) < _MAX_READ:
        connection.settimeout(_left(until))
        part = connection.recv(_MAX_READ - len(read))
        read += part
        while match := _STATUS.match(read):
            if not match[1].startswith(b"1"):
                return int(match[1])
            _, ended, rest = read.partition(b"\r\n\r\n")
            if not ended:
                break
            read = rest
        if not part:
            break
    raise Undelivered("Its response is not HTTP.")


def _left(until: float) -> float:
    left = until - monotonic()
    if left <= 0:
        raise TimeoutError
    return left
