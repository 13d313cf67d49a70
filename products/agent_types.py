"""The built-in agent types, and the label and colour of a new one. No database access."""

import re

from products.colors import stable_color

OTHER = "other"
LIMIT = 200
"""Agent types in one project. Usage of any further type is recorded under `other`."""
SLUG_LENGTH = 100

KNOWN: dict[str, tuple[str, str]] = {
    "implementation": ("Implementation", "blue"),
    "research": ("Research", "teal"),
    "testing": ("Testing", "green"),
    "release": ("Release", "amber"),
    "security": ("Security", "red"),
    "documentation": ("Documentation", "purple"),
    "design": ("Design", "pink"),
    "marketing": ("Marketing", "orange"),
    "ui_ux": ("UI/UX", "cyan"),
    "performance": ("Performance", "lime"),
    "compliance": ("Compliance", "indigo"),
    "revenue": ("Revenue", "emerald"),
    "dependency": ("Dependency", "brown"),
    OTHER: ("Other", "gray"),
}
"""slug → (label, colour)"""

_WORD_BREAK = re.compile(r"[_\-\s]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def slug_of(name: str) -> str:
    """The name trimmed of spaces and cut to 100 characters; case and punctuation stay."""
    return name.strip()[:SLUG_LENGTH].rstrip()


def label_of(slug: str) -> str:
    """A readable label: `code_review` → `Code review`, `MyCodingAgent` → `My coding agent`."""
    spaced = _CAMEL.sub(" ", slug)
    words = [word for word in _WORD_BREAK.split(spaced) if word]
    if not words:
        return slug
    text = " ".join(word if word.isupper() else word.lower() for word in words)
    return (text[0].upper() + text[1:])[:SLUG_LENGTH]


def label_and_color(slug: str) -> tuple[str, str]:
    known = KNOWN.get(slug)
    return known or (label_of(slug), stable_color(slug))
