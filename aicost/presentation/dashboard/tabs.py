"""The dashboard's four tabs. Only the open one is queried and rendered."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aicost.formatting import html, text
from aicost.presentation import axis
from aicost.presentation.runs import RunRow, deduction_rows, run_row
from aicost.queries import AgentTypeSpend, Deduction, MonthSummary, Panel, RunCost, Spend
from aicost.url_state.dashboard import TABS, DashboardState, Link, link
from billing import money, periods

LONG = 10_000 * money.NANOS_PER_DOLLAR
"""Labels above bars abbreviate amounts from here on."""


@dataclass(frozen=True)
class Tabs:
    open: str
    links: list[Link]
    template: str
    rows: list[Any]
    month: str
    zone: str
    started: bool
    """Whether the product has ever had usage."""
    csv: str
    json: str
    ledger: str
    extra: dict[str, Any] = field(default_factory=dict)


def tabs(state: DashboardState, panel: Panel) -> Tabs:
    """`panel` is what `queries.panel` found for the open tab."""
    links = [
        link(state.to(tab=name), "tabs", f"tab-{name}", label, name == state.tab)
        for name, label in TABS.items()
    ]
    rows, extra = _PANELS[state.tab](state, panel)
    return Tabs(
        open=state.tab,
        links=links,
        template=f"aicost/_{state.tab}.html",
        rows=rows,
        month=text.month(state.month),
        zone=state.project.time_zone,
        started=state.project.first_usage_at is not None,
        csv=state.export_url(state.tab, "csv"),
        json=state.export_url(state.tab, "json"),
        ledger=state.ledger_url,
        extra=extra,
    )


Rendered = tuple[list[Any], dict[str, Any]]
"""The rows of a panel, and the other values that its template uses."""


@dataclass(frozen=True)
class AgentRow:
    label: str
    color: str
    width: str
    runs: str
    success: str
    input: str
    output: str
    cost: str
    share: str
    unpriced: str


def agent_rows(summary: MonthSummary) -> list[AgentRow]:
    highest = max((agent.cost for agent in summary.agents), default=0)
    return [_agent_row(summary, agent, highest) for agent in summary.agents]


def _agent_row(summary: MonthSummary, agent: AgentTypeSpend, highest: int) -> AgentRow:
    return AgentRow(
        label=agent.label,
        color=agent.color,
        width=axis.width(agent.cost, highest),
        runs=text.count(agent.jobs),
        success=text.percent(agent.success_rate * 100) if agent.jobs else text.NONE,
        input=html.tokens(agent.input_tokens),
        output=html.tokens(agent.output_tokens),
        cost=html.money(agent.cost),
        share=text.percent(summary.share(agent)),
        unpriced=f"{text.count(agent.unpriced)} unpriced" if agent.unpriced else "",
    )


def _agents(state: DashboardState, summary: MonthSummary) -> Rendered:
    return list(agent_rows(summary)), {}


@dataclass(frozen=True)
class MonthBar:
    name: str
    full_name: str
    link: Link
    height: int
    value: str
    cost: str
    tokens: str
    jobs: str
    jobs_text: str
    current: bool


def _trend(state: DashboardState, months: list[Spend]) -> Rendered:
    highest = max(month.cost for month in months)
    if not any(month.cost or month.tokens or month.jobs for month in months):
        return [], {}
    total = sum(month.cost for month in months)
    note = f"{text.money(total)} in six months, {text.money(round(total / 6))} a month on average."
    return [_month_bar(state, month, highest) for month in months], {"note": note}


def _month_bar(state: DashboardState, month: Spend, highest: int) -> MonthBar:
    name = text.short_month(month.start)
    target = state.to(past_month=month.start)
    return MonthBar(
        name=name,
        full_name=text.month(month.start),
        link=link(target, "month", f"trend-{periods.month_text(month.start)}", name),
        height=axis.percent_class(month.cost, highest),
        value=_above_bar(month.cost),
        cost=html.money(month.cost),
        tokens=html.tokens(month.tokens),
        jobs=text.count(month.jobs),
        jobs_text=text.plural(month.jobs, "job"),
        current=month.start == state.month,
    )


def _above_bar(nanos: int) -> str:
    """To the cent, as long as that fits between the neighbouring labels on a phone."""
    return text.money_short(nanos) if abs(nanos) >= LONG else text.money(nanos)


@dataclass(frozen=True)
class TopRun:
    rank: int
    run: RunRow
    width: str


def _runs(state: DashboardState, found: list[RunCost]) -> Rendered:
    highest = max((run.cost for run in found), default=0)
    return [
        TopRun(rank, run_row(state.project, run), axis.width(run.cost, highest))
        for rank, run in enumerate(found, start=1)
    ], {}


def _recent(state: DashboardState, found: list[Deduction]) -> Rendered:
    until = f" up to the end of {text.month(state.past_month)}" if state.past_month else ""
    note = f"The newest {text.plural(len(found), 'deduction')}{until}."
    return list(deduction_rows(state.project, found)), {"note": note}


_PANELS: dict[str, Callable[[DashboardState, Any], Rendered]] = {
    "agents": _agents,
    "trend": _trend,
    "runs": _runs,
    "recent": _recent,
}
