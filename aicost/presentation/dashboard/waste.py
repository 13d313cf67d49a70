"""Waste: spend on failed and cancelled jobs, and the cost of a successful job."""

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
    """The month before, which it is compared with."""
    words: str
    rows: list[WasteRow]
    total: WasteRow


def waste(summary: MonthSummary) -> Waste:
    """`summary` must include the month before."""
    before = summary.before
    assert before
    known = {agent.agent_type: agent for agent in before.agents}
    agents = sorted(summary.agents, key=lambda agent: (-agent.wasted, -agent.cost, agent.label))
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
        return "Nothing was spent on failed or cancelled jobs."
    share = _share(summary)
    difference = share - _share(before)
    wasted = f"{text.cents(summary.wasted)}, {text.percent(share)} of the spend, was wasted"
    if before.cost <= 0:
        return f"{wasted}."
    return f"{wasted}; {text.change(difference, 'pts')} compared with {text.short_month(before.month)}."


def _share(spend: MonthSummary | AgentTypeSpend) -> float:
    """Percent of the cost that was wasted."""
    return money.percent(spend.wasted, spend.cost)


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
        "change": _change(now, before),
    }


def _per(cost: int, jobs: int) -> str:
    return html.money(round(cost / jobs)) if jobs else text.NONE


def _change(now: Figures, before: Figures | None) -> str:
    """The change in the cost of a successful job."""
    if before is None or not (now.succeeded_jobs and before.succeeded_jobs) or before.cost <= 0:
        return text.NONE
    old, new = before.cost / before.succeeded_jobs, now.cost / now.succeeded_jobs
    return text.change((new - old) * 100 / old)
