"""Ids that formats of others give: kept where they fit, hashed where they don't, never refused."""

import hashlib
import re
from datetime import datetime

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def foreign_id(text: str, longest: int) -> str:
    """The text itself if it is an id of 1 to `longest` characters, else its hash, the same each time."""
    try:
        characters = text.encode()
    except UnicodeEncodeError:
        characters = b""
    if characters and len(text) <= longest and not _CONTROL.search(text):
        return text
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def reused_id(text: str, at: datetime) -> str:
    """The id of another call for which a sender has used an id again, at another instant."""
    return f"{text}@{at:%Y%m%dT%H%M%S.%fZ}"
