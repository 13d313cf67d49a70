"""A month compared with the same days of the month before: what changed by agent type, and why."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, F, Q, Sum

from billing import decomposition, periods
from billing.clock import today
from billing.decomposition import Parts, Work
from billing.models import DailyAgentSpend
from products.models import Project


@dataclass(frozen=True)
class AgentTypeChange:
    label: str
    color: str
    agent_type: str
    before: Work
    after: Work
    parts: Parts


@dataclass(frozen=True)
class Changes:
    """The days of a month up to today, compared with the same days of the month before."""

    days: tuple[date, date]
    days_before: tuple[date, date]
    agents: list[AgentTypeChange]
    """By size of the change in either direction, largest first, then by label."""

    @property
    def before(self) -> int:
        return sum(agent.before.cost for agent in self.agents)

    @property
    def after(self) -> int:
        return sum(agent.after.cost for agent in self.agents)

    @property
    def parts(self) -> Parts:
        return Parts.total(agent.parts for agent in self.agents)


def changes(project: Project, month: date | None = None) -> Changes:
    """Compare a month with the one before, in one query of the daily rollups."""
    now = today(project)
    start = month or periods.month_of(now)
    days = start, min(periods.last_day(start), now)
    before = periods.same_days_before(start, now)
    works: defaultdict[tuple[str, str, str], dict[bool, Work]] = defaultdict(dict)
    for *agent, is_after, jobs, tokens, cost in _sums(project, start, days, before):
        works[tuple(agent)][is_after] = Work(int(jobs), int(tokens), int(cost))
    found = [
        _change(*agent, work.get(False, Work()), work.get(True, Work())) for agent, work in works.items()
    ]
    found.sort(key=lambda change: (-abs(change.parts.whole), change.label, change.agent_type))
    return Changes(days, before, [one for one in found if one.before != one.after])


def _sums(project: Project, start: date, days: tuple[date, date], before: tuple[date, date]) -> Any:
    """Rows of agent type, whether the days belong to the later month, and the numbers of `Work`."""
    return (
        DailyAgentSpend.objects.filter(project=project)
        .filter(Q(day__range=days) | Q(day__range=before))
        .values_list(
            *("agent_type__label", "agent_type__color", "agent_type__slug"),
            ExpressionWrapper(Q(day__gte=start), BooleanField()),
        )
        .annotate(
            sum_jobs=Sum("jobs"), tokens=Sum(F("input_tokens") + F("output_tokens")), cost=Sum("cost_nanos")
        )
        .order_by()
    )


def _change(label: str, color: str, agent_type: str, before: Work, after: Work) -> AgentTypeChange:
    return AgentTypeChange(label, color, agent_type, before, after, decomposition.split(before, after))
