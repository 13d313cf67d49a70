"""Where the money is wasted: spend on failed and cancelled jobs, and what a job that succeeded costs."""

from dataclasses import dataclass

from aicost.formatting import html, text
from aicost.presentation import axis
from aicost.queries import AgentTypeSpend, MonthSummary
from billing import money


@dataclass(frozen=True)
class WasteRow:
    label: str
    color: str
    failed: str
    cancelled: str
    share: str
    width: str
    per_succeeded: str
    per_run: str
    change: str


@dataclass(frozen=True)
class Waste:
    month: str
    before: str
    """The month that it is compared with."""
    words: str
    rows: list[WasteRow]
    total: WasteRow


def waste(summary: MonthSummary) -> Waste:
    """`summary` has the month before it."""
    before = summary.before
    assert before
    known = {agent.agent_type: agent for agent in before.agents}
    agents = sorted(summary.agents, key=lambda one: (-one.wasted, -one.cost, one.label))
    highest = max((agent.wasted for agent in agents), default=0)
    return Waste(
        month=text.month(summary.month),
        before=text.short_month(before.month),
        words=_words(summary, before),
        rows=[_row(agent, known.get(agent.agent_type), highest) for agent in agents],
        total=_total(summary, before),
    )


def _words(summary: MonthSummary, before: MonthSummary) -> str:
    if not summary.wasted:
        return "Nothing went into jobs that failed or were cancelled."
    share = _share(summary)
    moved = share - _share(before)
    told = f"{text.cents(summary.wasted)}, {text.percent(share)} of the spend, came to nothing"
    if before.cost <= 0:
        return f"{told}."
    return f"{told}; {text.change(moved, 'pts')} against {text.short_month(before.month)}."


def _share(of: MonthSummary | AgentTypeSpend) -> float:
    """Percent of the cost that was wasted."""
    return money.percent(of.wasted, of.cost)


def _row(agent: AgentTypeSpend, before: AgentTypeSpend | None, highest: int) -> WasteRow:
    return WasteRow(
        label=agent.label,
        color=agent.color,
        width=axis.width(agent.wasted, highest),
        **_figures(agent, before),
    )


def _total(summary: MonthSummary, before: MonthSummary) -> WasteRow:
    return WasteRow(label="Total", color="", width="0", **_figures(summary, before))


Figures = MonthSummary | AgentTypeSpend


def _figures(now: Figures, before: Figures | None) -> dict[str, str]:
    return {
        "failed": html.money(now.failed_cost, text.cents(now.failed_cost)),
        "cancelled": html.money(now.cancelled_cost, text.cents(now.cancelled_cost)),
        "share": text.percent(_share(now)),
        "per_succeeded": _per(now.cost, now.succeeded_jobs),
        "per_run": _per(now.cost, now.jobs),
        "change": _moved(now, before),
    }


def _per(cost: int, jobs: int) -> str:
    return html.money(round(cost / jobs)) if jobs else text.NONE


def _moved(now: Figures, before: Figures | None) -> str:
    """How the cost of a job that succeeded moved."""
    if before is None or not (now.succeeded_jobs and before.succeeded_jobs) or before.cost <= 0:
        return text.NONE
    was, is_now = before.cost / before.succeeded_jobs, now.cost / now.succeeded_jobs
    return text.change((is_now - was) * 100 / was)
