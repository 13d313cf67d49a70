"""Make text from outside safe to repeat in messages and log lines."""


def printable(value: object, longest: int = 80) -> str:
    """The value on one line of at most `longest` characters, unprintable ones escaped."""
    text = value if isinstance(value, str) else repr(value)
    text = text.encode("utf-8", "backslashreplace").decode()
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: longest + 1])
    return text if len(text) <= longest else text[: longest - 1] + "…"
