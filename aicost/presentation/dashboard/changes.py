"""What changed: each agent type's cost against the same days before, and why it moved."""

from dataclasses import dataclass

from django.utils.safestring import SafeString

from aicost.formatting import html, text
from aicost.queries import AgentTypeChange, Changes
from billing.decomposition import Parts

SHOWN = 8


@dataclass(frozen=True)
class ChangeRow:
    label: str
    color: str
    before: str
    after: str
    change: str
    jobs: str
    tokens: str
    price: str
    x: str
    width: str
    """Of a bar to the left (less) or right (more) of the middle, in percent."""


@dataclass(frozen=True)
class WhatChanged:
    days: str
    days_before: str
    words: str
    rows: list[ChangeRow]
    total: ChangeRow
    more: str
    """What the list leaves out."""


def what_changed(found: Changes) -> WhatChanged:
    widest = max((abs(one.parts.whole) for one in found.agents), default=0)
    return WhatChanged(
        days=text.day_span(*found.days),
        days_before=text.day_span(*found.days_before),
        words=_words(found),
        rows=[_row(one, widest) for one in found.agents[:SHOWN]],
        total=ChangeRow(
            label="Total",
            color="",
            before=_cents(found.before),
            after=_cents(found.after),
            x="50",
            width="0",
            **_parts(found.parts),
        ),
        more=_more(len(found.agents) - SHOWN),
    )


def _more(number: int) -> str:
    return (
        f"and {text.plural(number, 'agent type')} more, in the total and the downloads" if number > 0 else ""
    )


def _words(found: Changes) -> str:
    parts = found.parts
    if not parts.whole:
        return "Nothing has changed."
    reasons = [
        (parts.jobs, "more jobs", "fewer jobs"),
        (parts.tokens_per_job, "more tokens per job", "fewer tokens per job"),
        (parts.price_per_token, "dearer tokens", "cheaper tokens"),
    ]
    largest, more, less = max(reasons, key=lambda reason: abs(reason[0]))
    why = more if largest > 0 else less
    direction = "more" if parts.whole > 0 else "less"
    size = text.cents(abs(parts.whole))
    return f"{size} {direction} than in the same days before, most of all by {why} ({_signed_text(largest)})."


def _row(one: AgentTypeChange, widest: int) -> ChangeRow:
    size = abs(one.parts.whole) * 50 / widest if widest else 0.0
    return ChangeRow(
        label=one.label,
        color=one.color,
        before=_cents(one.before.cost),
        after=_cents(one.after.cost),
        x=f"{50 - size if one.parts.whole < 0 else 50:.5g}",
        width=f"{size:.5g}",
        **_parts(one.parts),
    )


def _parts(parts: Parts) -> dict[str, SafeString]:
    return {
        "change": _signed(parts.whole),
        "jobs": _signed(parts.jobs),
        "tokens": _signed(parts.tokens_per_job),
        "price": _signed(parts.price_per_token),
    }


def _cents(nanos: int) -> SafeString:
    return html.money(nanos, text.cents(nanos))


def _signed(nanos: int) -> SafeString:
    return html.money(nanos, _signed_text(nanos))


def _signed_text(nanos: int) -> str:
    return f"+{text.cents(nanos)}" if nanos > 0 else text.cents(nanos)
