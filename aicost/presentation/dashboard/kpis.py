"""The four cards at the top of a month, each compared with the same days of the month before."""

from dataclasses import dataclass

from django.conf import settings

from aicost.formatting import html, text
from aicost.queries import Baseline, MonthSummary


@dataclass(frozen=True)
class Change:
    """How a figure compares. It has no colour, because more is neither good nor bad."""

    icon: str
    text: str
    words: str


@dataclass(frozen=True)
class Kpi:
    label: str
    value: str
    note: str
    change: Change | None = None
    missing: bool = False
    """No limit is set, so the card only links to the form that sets one."""


def cards(summary: MonthSummary, base: Baseline | None = None) -> list[Kpi]:
    """Without `base` the cards show no changes."""
    tokens = f"{text.compact(summary.input_tokens)} input · {text.compact(summary.output_tokens)} output"
    spend = text.credits(summary.cost, settings.CREDITS_PER_DOLLAR)
    changes = _changes(summary, base) if base else (None, None, None, None)
    return [
        Kpi("Total Spend", html.money(summary.cost), spend, changes[0]),
        Kpi("Token Usage", html.tokens(summary.tokens), tokens, changes[1]),
        Kpi("Agent Jobs", text.count(summary.jobs), _succeeded(summary), changes[2]),
        _budget(summary, changes[3]),
    ]


def _changes(summary: MonthSummary, base: Baseline) -> tuple[Change, Change, Change, Change | None]:
    days = text.day_span(base.first, base.last)
    return (
        _change(summary.cost, base.cost, days, text.money(base.cost)),
        _change(summary.tokens, base.tokens, days, text.compact(base.tokens)),
        _change(summary.jobs, base.jobs, days, text.count(base.jobs)),
        _points(summary, base, days),
    )


def _change(now: int, before: int, days: str, before_text: str) -> Change:
    if now == before:
        return Change("equal", "no change", f"vs {days}")
    if before <= 0:  # nothing, or more refunds than spend, has no percentage
        return Change("plus", "new", f"{before_text} in {days}")
    return _moved((now - before) * 100 / before, "%", days)


def _points(summary: MonthSummary, base: Baseline, days: str) -> Change | None:
    """The difference in percentage points, each month measured by its own limit."""
    if summary.budget is None:
        return None
    if base.budget is None:
        return Change("plus", "new", f"no limit in {text.short_month(base.first)}")
    difference = summary.budget.percent - base.budget.percent
    if not difference:
        return Change("equal", "no change", f"vs {days}")
    return _moved(difference, "pts", days)


def _moved(difference: float, unit: str, days: str) -> Change:
    up = difference > 0
    icon, word = ("trending-up", "up") if up else ("trending-down", "down")
    return Change(icon, text.change(difference, unit), f"{word} vs {days}")


def _succeeded(summary: MonthSummary) -> str:
    if not summary.jobs:
        return "none finished"
    succeeded = sum(agent.succeeded_jobs for agent in summary.agents)
    return f"{text.percent(succeeded * 100 / summary.jobs)} succeeded"


def _budget(summary: MonthSummary, change: Change | None) -> Kpi:
    budget = summary.budget
    if budget is None:
        return Kpi("Budget Used", text.NONE, "no monthly limit", missing=True)
    note = f"of {text.money(budget.limit_nanos)} a month"
    return Kpi("Budget Used", text.cut_percent(budget.cut_percent), note, change)
