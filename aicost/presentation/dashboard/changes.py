"""What changed: each agent type's cost compared with the same days of the month before, and why."""

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
    """In percent. The bar extends from the middle to the left (less) or to the right (more)."""


@dataclass(frozen=True)
class WhatChanged:
    days: str
    days_before: str
    words: str
    rows: list[ChangeRow]
    total: ChangeRow
    more: str
    """How many agent types the list leaves out; "" for none."""


def what_changed(found: Changes) -> WhatChanged:
    widest = max((abs(agent.parts.whole) for agent in found.agents), default=0)
    return WhatChanged(
        days=text.day_span(*found.days),
        days_before=text.day_span(*found.days_before),
        words=_words(found),
        rows=[_row(agent, widest) for agent in found.agents[:SHOWN]],
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
        f"and {text.plural(number, 'more agent type')}, included in the total and the downloads"
        if number > 0
        else ""
    )


def _words(found: Changes) -> str:
    parts = found.parts
    if not parts.whole:
        return "Nothing has changed."
    reasons = [
        (parts.jobs, "more jobs", "fewer jobs"),
        (parts.tokens_per_job, "more tokens per job", "fewer tokens per job"),
        (parts.price_per_token, "more expensive tokens", "cheaper tokens"),
    ]
    largest, more, less = max(reasons, key=lambda reason: abs(reason[0]))
    why = more if largest > 0 else less
    direction = "more" if parts.whole > 0 else "less"
    size = text.cents(abs(parts.whole))
    return (
        f"{size} {direction} than in the same days of the month before, "
        f"mainly because of {why} ({_signed_text(largest)})."
    )


def _row(agent: AgentTypeChange, widest: int) -> ChangeRow:
    size = abs(agent.parts.whole) * 50 / widest if widest else 0.0
    return ChangeRow(
        label=agent.label,
        color=agent.color,
        before=_cents(agent.before.cost),
        after=_cents(agent.after.cost),
        x=f"{50 - size if agent.parts.whole < 0 else 50:.5g}",
        width=f"{size:.5g}",
        **_parts(agent.parts),
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
