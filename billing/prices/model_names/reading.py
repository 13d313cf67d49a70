"""What a model's name says besides the model, and what `find` answers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypedDict


@dataclass(frozen=True)
class Reading:
    """What a name says. Speed and batch are empty where the listed model is itself the fast or batch one."""

    provider: str
    """The price list's id of the provider that was called."""
    model: str
    """The name without prefixes and marks; dates and versions are kept."""
    speed: str = ""
    """`fast`, or empty."""
    region: str = ""
    """As Bedrock and Azure write it: `us`, `eu`, `apac`, `global`, `us-gov`, `eu-west-1`; or empty."""
    free: bool = False
    batch: bool = False


@dataclass(frozen=True)
class Match:
    """A model of the price list. Its provider and model are genai-prices' objects."""

    provider: Any
    model: Any
    reading: Reading
    region_priced: bool = False
    """The listed price is the region's own: a factor for the region would be one too many."""


@dataclass(frozen=True)
class Unpriced:
    """A name for which the price list has no model."""

    name: str
    reason: str
    """In a few words, as a reader of the dashboard should see it."""


class Marks(TypedDict, total=False):
    """The fields of a reading that the end of a name says."""

    speed: str
    free: bool
    batch: bool


_MARKS: dict[str, Marks] = {
    ":free": {"free": True},
    ":batch": {"batch": True},
    "-fast": {"speed": "fast"},
    # These change no price: a long context window, OpenRouter's self-moderated endpoint, extended thinking.
    "[1m]": {},
    ":beta": {},
    ":thinking": {},
}
_MARK = re.compile("(?:" + "|".join(map(re.escape, _MARKS)) + ")$")


def marked(model: str) -> Iterator[tuple[str, Marks]]:
    """The name as it is, which may be a listed model, then with one mark after another off its end."""
    marks: Marks = {}
    yield model, marks
    while mark := _MARK.search(model):
        model = model[: mark.start()]
        marks = marks | _MARKS[mark[0]]
        yield model, marks
