"""Read the body of a usage request, within limits and decompressed."""

import gzip
import zlib
from io import BytesIO
from typing import Any

from django.http import HttpRequest

from products.printable import printable

MAX_EVENTS = 1_000
MAX_BYTES = 10_000_000
"""After decompression."""


class RequestRefused(Exception):
    """The whole request is refused with this HTTP status; nothing of it is recorded."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def read_body(request: HttpRequest) -> bytes:
    """The decompressed body. Raises `RequestRefused` if it is too large, incomplete or not readable."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", ""):
        raise RequestRefused(
            415, f"Content-Encoding {printable(encoding)} is not supported; send gzip or none."
        )
    # One byte beyond the limit shows that the body is too large, without holding the rest.
    raw = _stream(request).read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise RequestRefused(413, f"A request has at most {MAX_BYTES:,} bytes.")
    if len(raw) < _content_length(request):
        # The complete lines of a truncated body would pass for a batch that nobody sent.
        raise RequestRefused(400, "The body is shorter than its Content-Length.")
    return _decompressed(raw) if encoding == "gzip" else raw


def _content_length(request: HttpRequest) -> int:
    try:
        return int(request.headers.get("Content-Length", ""))
    except ValueError:  # Django treats it as 0, too
        return 0


def _stream(request: HttpRequest) -> Any:
    """Where to read the body from. Django takes a chunked body, which has no length, for an empty one."""
    if "Transfer-Encoding" not in request.headers or "wsgi.input" not in request.META:
        return request
    if not request.META.get("wsgi.input_terminated"):  # reading would block for ever
        raise RequestRefused(411, "Send the body's length as Content-Length.")
    return request.META["wsgi.input"]


def _decompressed(raw: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=BytesIO(raw)) as stream:
            body = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        raise RequestRefused(400, "The body is not valid gzip.") from None
    if len(body) > MAX_BYTES:
        raise RequestRefused(413, f"A request has at most {MAX_BYTES:,} bytes after decompression.")
    return body
