"""Create people and projects with factory_boy, and usage with the ledger writer."""

from datetime import timedelta
from itertools import count
from typing import Any

import factory
from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils import timezone

from billing import ledger
from billing.events.parsing import read
from billing.events.usage_event import UsageEvent
from billing.models import CreditTransaction
from products.models import Membership, Project
from tests.conftest import NOW

PASSWORD = "correct horse battery staple"


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = get_user_model()
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"person-{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.com")
    password = factory.django.Password(PASSWORD)


class ProjectFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Project

    name = factory.Sequence(lambda n: f"Product {n}")
    owner = factory.SubFactory(UserFactory)


class MembershipFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Membership

    project = factory.SubFactory(ProjectFactory)
    user = factory.SubFactory(UserFactory)
    role = Membership.Role.VIEWER


_numbers = count(1)

RUN_AND_COST = {"runId": "run-1", "costDollars": "1.00"}
DEFAULTS: dict[str, dict[str, Any]] = {
    "deduction": RUN_AND_COST,
    "refund": {**RUN_AND_COST, "jobId": "job-1"},
    "purchase": {"costDollars": "1.00"},
    "grant": {"costDollars": "1.00"},
    "job": {"runId": "run-1", "jobId": "job-1"},
}


def fields(**given: Any) -> dict[str, Any]:
    """A complete usage event as a sender writes it. A field given as None is left out."""
    kind = given.get("kind", "deduction")
    event_id = {} if kind == "job" else {"eventId": f"event-{next(_numbers)}"}
    defaults = {**event_id, "occurredAt": NOW.isoformat(), **DEFAULTS.get(kind, RUN_AND_COST)}
    if given.get("credits") is not None:
        defaults.pop("costDollars", None)
    return {name: value for name, value in {**defaults, **given}.items() if value is not None}


def event(**given: Any) -> UsageEvent:
    """A usage event from camelCase fields. `NOW` is accepted even if the test's clock is before it."""
    now = max(timezone.now(), NOW + timedelta(days=1))
    return read(fields(**given), now=now, credits_per_dollar=settings.CREDITS_PER_DOLLAR)


def send(project: Project, *events: Any, atomic: bool = False) -> list[str]:
    """Record events; return the status of each."""
    return [outcome.status for outcome in ledger.record(project, events, atomic=atomic)]


def usage(project: Project, **given: Any) -> CreditTransaction:
    """Record one event; return its transaction."""
    recorded = event(**given)
    [outcome] = ledger.record(project, [recorded])
    assert outcome.status == "recorded", outcome
    return CreditTransaction.objects.get(project=project, event_id=recorded.event_id)
