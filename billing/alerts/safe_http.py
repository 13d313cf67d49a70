"""A POST to a server that a product's people name, and that may be hostile.

The name is resolved once, every address that it has is checked, and one of these very addresses is
connected to: a second look-up could answer otherwise. Redirects are not followed, and of the answer
only the status is read. Proxies that the environment names are not asked.
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

PATIENCE = 10.0
"""Seconds for all of it, after the name is resolved."""
LONGEST_URL = 2000
_MOST_READ = 8192
_MOST_ADDRESSES_TRIED = 3

_VISIBLE = re.compile(r"[!-~]+")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?\r?\n")
# Of no use to anybody at large, yet `ipaddress` of some Pythons takes them for public: protocols' own
# addresses (a cloud's metadata answers at 192.0.0.192), the relay of 6to4, and documentation.
_NOT_PUBLIC = [ipaddress.ip_network(one) for one in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")]
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Address:
    """A URL in the parts that a request needs."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.secure else "http"] else f"{host}:{self.port}"


def read_url(url: str) -> Address:
    """Raises `ValidationError` that says what is wrong."""
    if len(url) > LONGEST_URL or not _VISIBLE.fullmatch(url) or "\\" in url:
        raise ValidationError(f"A URL is at most {LONGEST_URL} visible ASCII characters.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValidationError("This is not a URL.") from None
    allowed = ("https", "http") if settings.WEBHOOK_ALLOW_PRIVATE else ("https",)
    if parts.scheme not in allowed:
        raise ValidationError(f"The URL begins with {' or '.join(f'{scheme}://' for scheme in allowed)}.")
    if "@" in parts.netloc:
        raise ValidationError("The URL holds no user name or password.")
    if not (_NAME.fullmatch(host) or _is_address(host)) or port == 0:
        raise ValidationError("The URL names a host, and a port only where it needs one.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(parts.scheme == "https", host, port or _PORTS[parts.scheme], path)


def _is_address(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host)) and "%" not in host
    except ValueError:
        return False


def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """The answer's status. Raises `Undelivered` where there is none."""
    try:
        address = read_url(url)
    except ValidationError as error:
        raise Undelivered(error.messages[0]) from error
    peers = resolve(address)
    until = monotonic() + PATIENCE
    try:
        with _connected(peers, address, until) as connection:
            connection.sendall(_request(address, body, headers))
            return _status(connection, until)
    except TimeoutError as error:
        raise Undelivered(f"It did not answer within {PATIENCE:.0f} seconds.") from error
    except ssl.SSLCertVerificationError as error:
        raise Undelivered("Its certificate is not one that is trusted for this name.") from error
    except ssl.SSLError as error:
        raise Undelivered("No secure connection could be made.") from error
    except OSError as error:
        raise Undelivered("No connection could be made, or it broke.") from error


def resolve(address: Address) -> list[Any]:
    """What `getaddrinfo` knows of the host. Raises `Undelivered` unless all of it is public."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Undelivered("Nothing is known of a host of this name.") from error
    if not settings.WEBHOOK_ALLOW_PRIVATE and not all(is_public(str(peer[4][0])) for peer in found):
        raise Undelivered("The name leads to an address that is not public.")
    return found[:_MOST_ADDRESSES_TRIED]


def is_public(text: str) -> bool:
    """Whether an address is one of the internet at large, with what others would unwrap it to."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return is_public(str(address.ipv4_mapped))
        if address.sixtofour or address.teredo or address.is_site_local:
            return False
    if any(address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _connected(peers: list[Any], address: Address, until: float) -> socket.socket:
    for number, (family, kind, protocol, _, at) in enumerate(peers, start=1):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(_left(until))
            connection.connect(at)
            return _secured(connection, address) if address.secure else connection
        except OSError as error:
            connection.close()
            if number == len(peers) or isinstance(error, ssl.SSLError):
                raise
    raise OSError("there is no address")


def _secured(connection: socket.socket, address: Address) -> ssl.SSLSocket:
    """The certificate has to be the host's by name, whatever address it is reached at."""
    return ssl.create_default_context().wrap_socket(connection, server_hostname=address.host)


def _request(address: Address, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"POST {address.path} HTTP/1.1", f"Host: {address.authority}", f"Content-Length: {len(body)}"]
    lines += [*(f"{name}: {value}" for name, value in headers.items()), "Connection: close", "", ""]
    return "\r\n".join(lines).encode("ascii") + body


def _status(connection: socket.socket, until: float) -> int:
    """Of the first answer that is not an interim one (1xx)."""
    read = b""
    while len(read) < _MOST_READ:
        connection.settimeout(_left(until))
        part = connection.recv(_MOST_READ - len(read))
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
    raise Undelivered("Its answer is not HTTP.")


def _left(until: float) -> float:
    left = until - monotonic()
    if left <= 0:
        raise TimeoutError
    return left
