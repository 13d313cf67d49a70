"""Why an event was refused, without the values that were sent: what refusals are counted by."""

import re

_VALUES = re.compile(
    r", (not (?!both\b|all\b)|this has |did you mean ).*"
    r"|(?<=not valid JSON): .*|(?<=not valid CSV): .*|(?<=not a possible time): .*"
    r"| \(.*\)$",
    re.DOTALL,
)
_CELLS = re.compile(r"has \d+ cells where the header names \d+")
_CONFLICT = re.compile(r"this id is already recorded with a different .*", re.DOTALL)
CONFLICT = "this id is already recorded with other content"


def kind_of(reason: str, field: str = "") -> str:
    """The reason without what was sent, after the field that it is about."""
    general = _CONFLICT.sub(CONFLICT, _CELLS.sub("has more or fewer cells than the header", reason))
    general = _VALUES.sub("", general)
    return f"{field}: {general}" if field else general
