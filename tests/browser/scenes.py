"""Products in every state that pages distinguish, filled through the ledger writer."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.urls import reverse

from billing import intake_counts
from billing.alerts import channels, outbox
from billing.budgets import checks, limits, policies
from billing.intake_counts import Counts, Kind
from billing.models import PriceOverride
from billing.models.alerts import AlertDelivery
from products import archive, audit, tokens
from products.models import ApiToken
from tests.conftest import NOW
from tests.factories import ProjectFactory, event, send

AGENTS = ("implementation", "testing", "research", "security", "code_review")
STATUSES = ("succeeded", "succeeded", "failed", "succeeded", "cancelled")
DAYS = 100


def url(project: Any, name: str = "ai-cost", query: str = "") -> str:
    return reverse(name, args=[project.pk]) + query


def fill(project: Any) -> Any:
    """Record a hundred days of usage of every kind, and credits."""
    send(project, *_events())
    project.refresh_from_db()
    return project


def _events() -> Iterator[Any]:
    for day in range(DAYS):
        at = NOW - timedelta(days=day, minutes=5)
        fields = {
            "occurredAt": at.isoformat(),
            "runId": f"build-{day}",
            "jobId": "job-1",
            "trigger": "push",
            "agentType": AGENTS[day % 5],
            "jobStatus": STATUSES[day % 5],
            "jobStartedAt": (at - timedelta(minutes=4)).isoformat(),
            "jobFinishedAt": at.isoformat(),
        }
        yield event(**fields, costDollars=str(2 + day % 7), inputTokens=120_000, outputTokens=3_400)
    yield event(runId="build-0", jobId="odd", costDollars=None, model="in-house-7b", inputTokens=5)
    yield event(kind="refund", runId="build-3", jobId="job-1", costDollars="0.5")
    yield event(kind="purchase", costDollars="500")


def not_understood(project: Any) -> None:
    """Add reports of more kinds than *Connect* shows, with names as long as they may be."""
    kinds = {Kind("traces", f"scope{n}." + "x" * 110, "1" * 60, "no model"): n for n in range(1, 15)}
    kinds[Kind("usage", reason="f" * 80 + ": unknown field")] = 99
    intake_counts.add(project, Counts({Kind("usage"): 1_000, **kinds}))


def limit(project: Any, dollars: int) -> None:
    limits.set_limit(project, Decimal(dollars), by=project.owner, note="For the release")


def portfolio(project: Any) -> dict[str, Any]:
    """The given product with usage, and others: over and near their limit, without one, unused, archived."""
    products = {"busy": fill(project)}
    not_understood(project)
    limit(products["busy"], 200)
    for name, dollars in (("over", 10), ("near", 12), ("unlimited", 0)):
        products[name] = ProjectFactory(name=f"Product {name}", owner=project.owner)
        send(products[name], event(costDollars="11", agentType="testing"))
        if dollars:
            limit(products[name], dollars)
    products["new"] = ProjectFactory(name="Product new", owner=project.owner)
    products["archived"] = ProjectFactory(name="Product archived", owner=project.owner)
    archive.archive(products["archived"], by=project.owner)
    return products


def busy_people(project: Any) -> None:
    """Add what people create: alerts in every state, tokens, price overrides, a reservation, and an audit
    entry of each kind."""
    owner = project.owner
    policies.set_policy(project, "warn", by=owner)
    checks.reserve(project, 10**9, by=owner)
    PriceOverride.objects.create(
        project=project, model="ours", starts_on=date(2026, 1, 1), input_rate=1, output_rate=2
    )
    for scope in (ApiToken.Scope.READ, ApiToken.Scope.WRITE):
        tokens.issue(owner, scope=scope, name=f"To {scope}")
    tokens.revoke(tokens.issue(owner, name="Revoked")[0], by=owner)
    for number, kind in enumerate(audit.Kind):
        with audit.from_address(f"192.0.2.{number}"):
            audit.record(
                kind, by=owner, about=owner, project=project, detail="Of a long line of details, " * 5
            )
    _alerts(project)


def _alerts(project: Any) -> None:
    settings = {"thresholds": [20, 80, 100], "email_people": True, "email_more": ["finance@example.com"]}
    channels.change(project, webhook_url="https://hooks.example.com/T0/secret", by=project.owner, **settings)
    for state in AlertDelivery.State.values:
        for delivery in outbox.queue_test(project, "webhook"):
            failure = {"attempts": 3, "error": "The receiver answered with status 503."}
            AlertDelivery.objects.filter(pk=delivery.pk).update(
                state=state, **failure if state != "sent" else {}
            )
    outbox.queue_test(project, "email")
