"""People and projects by factory_boy; usage by the ledger's own door."""

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


def fields(**told: Any) -> dict[str, Any]:
    """A whole usage event as a sender puts it; a field given as None is left out."""
    kind = told.get("kind", "deduction")
    own_id = {} if kind == "job" else {"eventId": f"event-{next(_numbers)}"}
    stated = {**own_id, "occurredAt": NOW.isoformat(), **DEFAULTS.get(kind, RUN_AND_COST)}
    if told.get("credits") is not None:
        stated.pop("costDollars", None)
    return {name: value for name, value in {**stated, **told}.items() if value is not None}


def event(**told: Any) -> UsageEvent:
    """A usage event read from camelCase fields. `NOW` is never in its future, whatever the clock says."""
    now = max(timezone.now(), NOW + timedelta(days=1))
    return read(fields(**told), now=now, credits_per_dollar=settings.CREDITS_PER_DOLLAR)


def send(project: Project, *events: Any, atomic: bool = False) -> list[str]:
    """Record events; what became of each."""
    return [outcome.status for outcome in ledger.record(project, events, atomic=atomic)]


def usage(project: Project, **told: Any) -> CreditTransaction:
    """Record one event; its line of the ledger."""
    one = event(**told)
    [outcome] = ledger.record(project, [one])
    assert outcome.status == "recorded", outcome
    return CreditTransaction.objects.get(project=project, event_id=one.event_id)
