"""Products in the states that pages distinguish, filled by the ledger's own door."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.urls import reverse

from billing import budgets
from tests.conftest import NOW
from tests.factories import ProjectFactory, event, send

AGENTS = ("implementation", "testing", "research", "security", "code_review")
STATUSES = ("succeeded", "succeeded", "failed", "succeeded", "cancelled")
DAYS = 100


def url(project: Any, name: str = "ai-cost", query: str = "") -> str:
    return reverse(name, args=[project.pk]) + query


def fill(project: Any) -> Any:
    """A hundred days of usage of all kinds, most of it in this month, and credits."""
    send(project, *_events())
    project.refresh_from_db()
    return project


def _events() -> Iterator[Any]:
    for day in range(DAYS):
        at = NOW - timedelta(days=day, minutes=5)
        told = {
            "occurredAt": at.isoformat(),
            "runId": f"build-{day}",
            "jobId": "job-1",
            "trigger": "push",
            "agentType": AGENTS[day % 5],
            "jobStatus": STATUSES[day % 5],
            "jobStartedAt": (at - timedelta(minutes=4)).isoformat(),
            "jobFinishedAt": at.isoformat(),
        }
        yield event(**told, costDollars=str(2 + day % 7), inputTokens=120_000, outputTokens=3_400)
    yield event(runId="build-0", jobId="odd", costDollars=None, model="in-house-7b", inputTokens=5)
    yield event(kind="refund", runId="build-3", jobId="job-1", costDollars="0.5")
    yield event(kind="purchase", costDollars="500")


def limit(project: Any, dollars: int) -> None:
    budgets.set_limit(project, Decimal(dollars), by=project.owner, note="For the release")


def portfolio(project: Any) -> dict[str, Any]:
    """Beside the filled product: one over its limit, one near it, one without, one that never had usage."""
    products = {"busy": fill(project)}
    limit(products["busy"], 200)
    for name, dollars in (("over", 10), ("near", 12), ("unlimited", 0)):
        products[name] = ProjectFactory(name=f"Product {name}", owner=project.owner)
        send(products[name], event(costDollars="11", agentType="testing"))
        if dollars:
            limit(products[name], dollars)
    products["new"] = ProjectFactory(name="Product new", owner=project.owner)
    return products
