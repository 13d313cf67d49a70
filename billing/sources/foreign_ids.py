"""Ids in formats that are not ours: a provider, gateway or agent may write them as long as it likes."""

import hashlib
import re

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def foreign_id(text: str, longest: int) -> str:
    """The id if it has 1 to `longest` characters and is text without control characters; else its digest."""
    if 1 <= len(text) <= longest and not _CONTROL.search(text) and _is_unicode(text):
        return text
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
