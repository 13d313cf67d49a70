"""The notice about calls that may have been counted twice."""

from dataclasses import dataclass

from aicost.formatting import text
from aicost.presentation import senders
from aicost.queries import DoubleCount, MonthSummary

LISTED = 6


@dataclass(frozen=True)
class Notice:
    texts: list[str]
    """One for each pair of senders."""
    more: str
    """How many pairs the notice leaves out; "" for none."""


def notice(summary: MonthSummary, found: list[DoubleCount], *, past: bool) -> Notice | None:
    """None if no calls of the month look alike. `past`: it is not the current month."""
    if not found:
        return None
    when = f"in {text.month(summary.month)}" if past else "this month"
    most = sorted(found, key=lambda pair: (-pair.nanos, -pair.calls, pair.senders))
    more = len(found) - LISTED
    return Notice(
        texts=[_text(one, when) for one in most[:LISTED]],
        more=f"And {text.plural(more, 'more pair')} of senders." if more > 0 else "",
    )


def _text(found: DoubleCount, when: str) -> str:
    return (
        f"Possible double count: {text.plural(found.calls, 'call')}, {text.money(found.nanos)} {when}. "
        f"{names(found)} report equal calls at the same time."
    )


def names(found: DoubleCount) -> str:
    return " and ".join(senders.name_of(sender) for sender in found.senders)
