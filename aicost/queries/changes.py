"""What changed: a month against the same days before, by agent type, and why."""

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
    """`days` of the month so far, or all of it, against the same of the month before."""

    days: tuple[date, date]
    days_before: tuple[date, date]
    agents: list[AgentTypeChange]
    """The largest change first, whatever its direction, then by label."""

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
    """In one query of the days of agent types."""
    now = today(project)
    shown = month or periods.month_of(now)
    days = shown, min(periods.last_day(shown), now)
    before = periods.same_days_before(shown, now)
    works: defaultdict[tuple[str, str, str], dict[bool, Work]] = defaultdict(dict)
    for *agent, is_after, jobs, tokens, cost in _sums(project, shown, days, before):
        works[tuple(agent)][is_after] = Work(int(jobs), int(tokens), int(cost))
    found = [_change(*agent, of.get(False, Work()), of.get(True, Work())) for agent, of in works.items()]
    found.sort(key=lambda one: (-abs(one.parts.whole), one.label, one.agent_type))
    return Changes(days, before, [one for one in found if one.before != one.after])


def _sums(project: Project, shown: date, days: tuple[date, date], before: tuple[date, date]) -> Any:
    """Agent type, whether it is of the month shown, and the numbers of `Work`."""
    return (
        DailyAgentSpend.objects.filter(project=project)
        .filter(Q(day__range=days) | Q(day__range=before))
        .values_list(
            *("agent_type__label", "agent_type__color", "agent_type__slug"),
            ExpressionWrapper(Q(day__gte=shown), BooleanField()),
        )
        .annotate(
            sum_jobs=Sum("jobs"), tokens=Sum(F("input_tokens") + F("output_tokens")), cost=Sum("cost_nanos")
        )
        .order_by()
    )


def _change(label: str, color: str, agent_type: str, before: Work, after: Work) -> AgentTypeChange:
    return AgentTypeChange(label, color, agent_type, before, after, decomposition.split(before, after))
