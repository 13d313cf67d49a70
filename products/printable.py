"""Text of others, as our own lines may repeat it."""


def printable(value: object, longest: int = 80) -> str:
    """A sender's value as a message may repeat it: one line, short."""
    text = value if isinstance(value, str) else repr(value)
    text = text.encode("utf-8", "backslashreplace").decode()
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: longest + 1])
    return text if len(text) <= longest else text[: longest - 1] + "…"
