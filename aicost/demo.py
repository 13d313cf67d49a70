"""Create the demo's products, users and usage up to now; always the same on the same day.

All usage goes through the ledger writer, so the demo shows only what real usage could.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils import timezone

from aicost import queries
from billing import ledger, money, periods
from billing.budgets import limits
from billing.events.parsing import read
from billing.events.usage_event import GRANT, PURCHASE, REFUND, UsageEvent
from products.models import Membership, Project
from products.statuses import CANCELLED, FAILED, SUCCEEDED

USER = "demo"
PASSWORD = "demo"  # noqa: S105  # public on purpose: the demo runs on loopback only
MONTHS = 7
BATCH = 5_000

Event = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How a demo product spends."""

    name: str
    zone: str
    runs_a_day: float
    agents: dict[str, float]
    """Agent type → weight."""
    budget_used: float | None
    """This month's spend as a share of the limit; None for no limit."""
    outlier: bool = False


PLANS = (
    Plan(
        "Aurora Checkout",
        "Europe/Berlin",
        9,
        {"implementation": 9, "testing": 6, "research": 3, "security": 2, "documentation": 2, "release": 1},
        budget_used=0.87,
        outlier=True,
    ),
    Plan(
        "Beacon Search",
        "America/New_York",
        6,
        {"implementation": 5, "performance": 4, "research": 4, "testing": 3, "dependency": 1},
        budget_used=0.42,
    ),
    Plan(
        "Cobalt Mobile",
        "UTC",
        7,
        {"ui_ux": 5, "design": 4, "implementation": 4, "testing": 3, "code_review": 2, "marketing": 1},
        budget_used=1.13,
    ),
    Plan(
        "Drift Analytics",
        "Asia/Tokyo",
        2,
        {"revenue": 3, "compliance": 2, "research": 2},
        budget_used=None,
    ),
    Plan("Ember Docs", "UTC", 0, {"documentation": 1}, budget_used=None),
)

# Model → weight. The last has no known price.
_MODELS = {
    "claude-opus-4-5-20251101": 3,
    "claude-sonnet-4-5-20250929": 6,
    "claude-haiku-4-5-20251001": 4,
    "gpt-5-mini": 2,
    "in-house-coder-7b": 0.2,
}
_COSTLIEST = "claude-opus-4-5-20251101"
_TRIGGERS = {"push": 5, "pull_request": 4, "schedule": 2, "manual": 2, "api": 1}
_STATUSES = {SUCCEEDED: 90, FAILED: 7, CANCELLED: 3}


def fill() -> None:
    """Fill an empty, migrated database with the demo's users, products, usage and budgets."""
    owner, viewer = _create_users()
    now = timezone.now()
    for number, plan in enumerate(PLANS):
        project = Project.objects.create(name=plan.name, owner=owner, time_zone=plan.zone)
        Membership.objects.create(project=project, user=viewer, role=Membership.Role.VIEWER)
        _record(project, list(_events(plan, random.Random(number), now)), now)
        if plan.budget_used:
            _set_limits(project, plan.budget_used, owner, now)


def _create_users() -> tuple[Any, Any]:
    users = get_user_model().objects
    owner = users.create_superuser(USER, "demo@example.com", PASSWORD)
    viewer = users.create_user("viewer", "viewer@example.com", PASSWORD)
    return owner, viewer


def _record(project: Project, events: list[Event], now: datetime) -> None:
    usage = [read(event, now=now, credits_per_dollar=settings.CREDITS_PER_DOLLAR) for event in events]
    for start in range(0, len(usage), BATCH):
        batch: list[UsageEvent] = usage[start : start + BATCH]
        outcomes = ledger.record(project, batch)
        failed = [outcome for outcome in outcomes if outcome.status != "recorded"]
        if failed:
            raise RuntimeError(f"the demo created an event that was not recorded: {failed[0]}")


def _set_limits(project: Project, used: float, owner: Any, now: datetime) -> None:
    """Set a limit from the start, and one now of which this month's spend is the share `used`."""
    spent = queries.month_summary(project).cost
    limit = max(round(money.decimal_dollars(spent) / Decimal(str(used)), 2), Decimal("0.01"))
    earlier = max((limit * Decimal("0.8")).quantize(Decimal("1")), Decimal(1))
    start = now - timedelta(days=30 * MONTHS)
    limits.set_limit(project, earlier, by=owner, note="First limit", at=start)
    limits.set_limit(project, limit, by=owner, note="Raised for the release")


def _events(plan: Plan, rng: random.Random, now: datetime) -> Iterator[Event]:
    """A product's usage over the last seven months up to now, oldest first."""
    if not plan.runs_a_day:
        return
    zone = periods.zone(plan.zone)
    today = periods.day_of(now, zone)
    first = periods.shift(periods.month_of(today), -(MONTHS - 1))
    days = list(periods.days_between(first, today))
    for index, day in enumerate(days):
        midnight = datetime.combine(day, time.min, zone)
        if day.day == 1:
            yield _credit(plan, midnight, rng)
        growth = 0.6 + 0.6 * index / len(days)
        weekday = 1.0 if day.weekday() < 5 else 0.3
        for number in range(_random_count(rng, plan.runs_a_day * growth * weekday)):
            start = midnight + timedelta(seconds=rng.triangular(6 * 3600, 22 * 3600, 14 * 3600))
            yield from _run(plan, rng, f"{day:%Y%m%d}-{number + 1}", start, now)
    yield from _latest(plan, rng, now, zone)


def _latest(plan: Plan, rng: random.Random, now: datetime, zone: ZoneInfo) -> Iterator[Event]:
    """A run of the last minutes, so that today is never empty, and the outlier, if the plan has one."""
    if plan.outlier:
        earlier = now - timedelta(days=3)
        this_month = earlier.astimezone(zone).month == now.astimezone(zone).month
        start = earlier if this_month else now - timedelta(hours=2)
        yield from _run(plan, rng, "runaway-refactoring", start, now, size=6)
    yield from _run(plan, rng, "latest", now - timedelta(minutes=20), now)


def _run(
    plan: Plan, rng: random.Random, name: str, start: datetime, now: datetime, size: int = 1
) -> Iterator[Event]:
    """A run of a few jobs, each with a few model calls, up to now."""
    trigger = _weighted_choice(rng, _TRIGGERS)
    at = start
    for number in range(rng.randint(1, 4) + size - 1):
        status = _weighted_choice(rng, _STATUSES)
        job = f"job-{number + 1}"
        common = {
            "runId": name,
            "trigger": trigger,
            "jobId": job,
            "agentType": _weighted_choice(rng, plan.agents),
        }
        # The outlier has more jobs, more calls, and always the costliest model.
        model = _COSTLIEST if size > 1 else _weighted_choice(rng, _MODELS)
        for call in range(rng.randint(1, 3) + size // 2):
            at += timedelta(seconds=rng.randint(20, 240))
            if at >= now:
                return
            yield {
                **common,
                "eventId": f"{name}/{job}/{call + 1}",
                "occurredAt": at,
                "model": model,
                "jobStatus": status,
                "jobStartedAt": start,
                "jobFinishedAt": at,
                **_tokens(rng, size),
            }
        if status == FAILED and rng.random() < 0.2:
            yield _refund(common, f"{name}/{job}/refund", at)


def _tokens(rng: random.Random, size: int) -> dict[str, int]:
    context = rng.randint(20_000, 140_000)
    return {
        "inputTokens": rng.randint(500, 9_000),
        "cacheReadTokens": context * rng.randint(1, 6) * (1 + size // 4),
        "cacheWriteTokens": context // 4,
        "outputTokens": rng.randint(800, 6_000) * (1 + size // 4),
    }


def _refund(common: Event, event_id: str, at: datetime) -> Event:
    return {**common, "eventId": event_id, "kind": REFUND, "occurredAt": at, "costDollars": "0.05"}


def _credit(plan: Plan, at: datetime, rng: random.Random) -> Event:
    """Credits purchased or granted at the start of a month."""
    kind = GRANT if rng.random() < 0.2 else PURCHASE
    dollars = round(plan.runs_a_day * 30 * rng.uniform(0.6, 1.4))
    return {"eventId": f"credits-{at:%Y-%m}", "kind": kind, "occurredAt": at, "costDollars": dollars}


def _weighted_choice(rng: random.Random, weights: Mapping[str, float]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


def _random_count(rng: random.Random, mean: float) -> int:
    return max(round(rng.gauss(mean, mean**0.5 / 2)), 0)
