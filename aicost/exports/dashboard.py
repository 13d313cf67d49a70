"""Exports of the dashboard's tables and charts, with the same figures as the page and totals last.

Costs are in dollars, times are ISO 8601 in UTC, days are `2026-10-24` and months `2026-10`.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from aicost import queries
from aicost.exports.tabular import Cell, Lines, Table, exact, instant
from aicost.queries import Spend
from aicost.url_state.dashboard import DashboardState
from billing import money, periods
from billing.decomposition import Parts, Work
from billing.events.usage_event import DEDUCTION, REFUND, REVERSAL
from billing.money import dollars
from products.models import Project


def agents(state: DashboardState) -> Table:
    summary = queries.month_summary(state.project, state.month)
    columns = (
        "agentType",
        "label",
        "jobs",
        "succeededJobs",
        "inputTokens",
        "outputTokens",
        "cost",
        "pctOfTotal",
    )
    rows = [
        (
            *(one.agent_type, one.label, one.jobs, one.succeeded_jobs),
            *(one.input_tokens, one.output_tokens, dollars(one.cost), summary.share(one)),
        )
        for one in summary.agents
    ]
    succeeded = sum(one.succeeded_jobs for one in summary.agents)
    counted = (summary.jobs, succeeded, summary.input_tokens, summary.output_tokens, dollars(summary.cost))
    return Table(
        "agents", columns, rows, ("total", None, *counted, money.percent(summary.cost, summary.cost))
    )


def trend(state: DashboardState) -> Table:
    months = queries.monthly_trend(state.project, state.month)
    return _series("trend", "month", months, periods.month_text)


def daily(state: DashboardState) -> Table:
    days = queries.daily_spend(state.project, state.days, state.past_month)
    return _series("daily", "date", days, date.isoformat)


def _series(name: str, first_column: str, series: list[Spend], label: Any) -> Table:
    rows = [(label(one.start), dollars(one.cost), one.tokens, one.jobs) for one in series]
    total = ("total", dollars(sum(one.cost for one in series)), _sum(series, "tokens"), _sum(series, "jobs"))
    return Table(name, (first_column, "cost", "tokens", "jobs"), rows, total)


def _sum(rows: Iterable[Any], name: str) -> int:
    return sum(getattr(row, name) for row in rows)


def runs(state: DashboardState) -> Table:
    top = queries.top_runs(state.project, state.month)
    rows = [
        (
            one.run_id,
            one.status,
            one.trigger,
            instant(one.started_at),
            one.job_count,
            one.tokens,
            dollars(one.cost),
        )
        for one in top
    ]
    total = (
        "total",
        None,
        None,
        None,
        _sum(top, "job_count"),
        _sum(top, "tokens"),
        dollars(_sum(top, "cost")),
    )
    return Table("runs", ("runId", "status", "trigger", "startedAt", "jobs", "tokens", "cost"), rows, total)


def recent(state: DashboardState) -> Table:
    found = queries.recent(state.project, state.past_month)
    columns = (
        "id",
        "occurredAt",
        "runId",
        "jobId",
        "agentType",
        "model",
        "inputTokens",
        "outputTokens",
        "cost",
    )
    rows = [
        (
            *(one.event_id, instant(one.occurred_at), one.run_id, one.job_id, one.agent_type, one.model),
            *(one.input_tokens, one.output_tokens, None if one.unpriced else dollars(one.cost)),
        )
        for one in found
    ]
    sums = (_sum(found, "input_tokens"), _sum(found, "output_tokens"), dollars(_sum(found, "cost")))
    return Table("recent", columns, rows, ("total", None, None, None, None, None, *sums))


def unpriced(state: DashboardState) -> Table:
    found = queries.unpriced_models(state.project, state.month)
    rows = [(one.model, one.transactions, one.input_tokens, one.output_tokens) for one in found]
    sums = _sum(found, "transactions"), _sum(found, "input_tokens"), _sum(found, "output_tokens")
    total = ("total", *sums)
    return Table("unpriced", ("model", "transactions", "inputTokens", "outputTokens"), rows, total)


def waste(state: DashboardState) -> Table:
    summary = queries.month_summary(state.project, state.month)
    columns = (
        *("agentType", "label", "cost", "failedCost", "cancelledCost", "wastedPct"),
        *("jobs", "succeededJobs", "costPerJob", "costPerSucceededJob"),
    )
    rows = [(one.agent_type, one.label, *_waste(one)) for one in summary.agents]
    return Table("waste", columns, rows, ("total", None, *_waste(summary)))


def _waste(spend: queries.MonthSummary | queries.AgentTypeSpend) -> tuple[Cell, ...]:
    return (
        *(dollars(spend.cost), dollars(spend.failed_cost), dollars(spend.cancelled_cost)),
        *(money.percent(spend.wasted, spend.cost), spend.jobs, spend.succeeded_jobs),
        *(
            queries.dollars_each(spend.cost, spend.jobs),
            queries.dollars_each(spend.cost, spend.succeeded_jobs),
        ),
    )


def changes(state: DashboardState) -> Table:
    found = queries.changes(state.project, state.past_month)
    columns = (
        *("agentType", "label", "jobsBefore", "jobs", "tokensBefore", "tokens", "costBefore", "cost"),
        *("change", "byJobs", "byTokensPerJob", "byPricePerToken"),
    )
    rows = [
        (one.agent_type, one.label, *_works(one.before, one.after), *_parts(one.parts))
        for one in found.agents
    ]
    before = Work.total(one.before for one in found.agents)
    after = Work.total(one.after for one in found.agents)
    total = ("total", None, *_works(before, after), *_parts(found.parts))
    return Table("changes", columns, rows, total)


def _works(before: Work, after: Work) -> tuple[Cell, ...]:
    return (
        *(before.jobs, after.jobs, before.tokens, after.tokens),
        *(dollars(before.cost), dollars(after.cost)),
    )


def _parts(parts: Parts) -> tuple[Cell, ...]:
    each = (parts.whole, parts.jobs, parts.tokens_per_job, parts.price_per_token)
    return tuple(dollars(nanos) for nanos in each)


TABLES = {
    "agents": agents,
    "trend": trend,
    "runs": runs,
    "recent": recent,
    "daily": daily,
    "unpriced": unpriced,
    "waste": waste,
    "changes": changes,
}


def revenue(project: Project) -> Table:
    months = queries.revenue(project).months
    rows = [
        (
            periods.month_text(one.month),
            dollars(one.purchased),
            dollars(one.granted),
            dollars(one.purchased + one.granted),
        )
        for one in months
    ]
    bought, granted = _sum(months, "purchased"), _sum(months, "granted")
    total = ("total", dollars(bought), dollars(granted), dollars(bought + granted))
    return Table("revenue", ("month", "purchases", "grants", "together"), rows, total)


LEDGER_COLUMNS = (
    *("eventId", "kind", "occurredAt", "billedOn", "runId", "jobId", "agentType", "model"),
    *("inputTokens", "cacheReadTokens", "cacheWriteTokens", "cacheWrite1hTokens", "outputTokens"),
    *("costSource", "costDollars", "spendDollars"),
)
"""`spendDollars` is the part that counts as spend: negative for refunds and reversals, 0 for purchases and
grants. A reversal takes a deduction back, so its token counts are negative, too."""


def ledger_lines(project: Project, month: date) -> Iterator[str]:
    """The ledger of a month as CSV lines in order of time, streamed in constant memory."""
    out = Lines()
    yield out.line(LEDGER_COLUMNS)
    spent = 0
    tokens = [0, 0, 0, 0, 0]
    for row in queries.ledger_rows(project, month):
        event_id, kind, at, day, run, job, agent, model, *counts, source, nanos = row
        spend = {DEDUCTION: nanos, REFUND: -nanos, REVERSAL: -nanos}.get(kind, 0)
        counts = [-count for count in counts] if kind == REVERSAL else counts
        spent += spend
        tokens = [a + b for a, b in zip(tokens, counts, strict=True)]
        texts = (event_id, kind, instant(at), day.isoformat(), run or "", job or "", agent or "", model)
        yield out.line((*texts, *counts, source, exact(nanos), exact(spend)))
    yield out.line(("total", None, None, None, None, None, None, None, *tokens, None, None, exact(spent)))
