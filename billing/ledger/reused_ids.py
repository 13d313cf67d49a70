"""Responses without a request id: gateways that give none use message ids again in other sessions.

At another instant, the same message id is another response; its event has the id `<message id>@<instant>`.
The plain id belongs to the response that was recorded first, so that the order of imports makes no difference
to what is recorded.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeGuard

import msgspec

from billing.events.usage_event import DEDUCTION, Rejection, UsageEvent
from billing.ledger.calls import store
from billing.ledger.lookup import lines
from billing.sources.foreign_ids import reused_id
from products.models import Project


def resolve(project: Project, events: Sequence[UsageEvent | Rejection]) -> Sequence[UsageEvent | Rejection]:
    """Return the events, those without a request id under the id that is theirs in the ledger."""
    plain_ids = {_plain_id(event) for event in events if _has_reusable_id(event)}
    if not plain_ids:
        return events
    known = lines(project, sorted(plain_ids))
    if project.has_call_ids:  # a report that does not stand has no line
        known += store.as_lines(project, sorted(plain_ids))
    instants = {line.event_id: line.occurred_at for line in known}
    return [_with_its_id(event, instants) if _has_reusable_id(event) else event for event in events]


def _has_reusable_id(event: UsageEvent | Rejection) -> TypeGuard[UsageEvent]:
    if isinstance(event, Rejection) or event.kind != DEDUCTION or not event.sender:
        return False
    return set(event.call_ids) <= {event.event_id}


def _plain_id(event: UsageEvent) -> str:
    return event.event_id.removesuffix(reused_id("", event.occurred_at))


def _with_its_id(event: UsageEvent, instants: dict[str, datetime]) -> UsageEvent:
    plain = _plain_id(event)
    first = instants.get(plain)
    if first is None:
        return event
    event_id = plain if first == event.occurred_at else reused_id(plain, event.occurred_at)
    return msgspec.structs.replace(event, event_id=event_id)
