"""The outbox: each message is claimed by one sender at a time, and retried until it is sent or given up.

A claim is committed before anything is sent. A sender that dies while sending leaves its claim behind. When
the claim has expired, the next sender tries again under the same id. If the message had just been delivered,
the receiver gets a second copy, which it can recognise by its id.
"""

import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone

from billing.alerts import Undelivered, channels, mail, webhook
from billing.models.alerts import AlertDelivery, BudgetAlert
from products.models import Project

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)
"""How long a claim is valid: far longer than any attempt takes."""
PAUSES = [timedelta(minutes=m) for m in (1, 2, 5, 15, 30, 60, 120, 240, *[360] * 6)]
"""Pauses before each retry. After the last, almost two days in total, a message is given up."""
MAX_SECONDS_IN_REQUEST = 10
_BATCH = 500

_SEND = {AlertDelivery.Channel.EMAIL.value: mail.send, AlertDelivery.Channel.WEBHOOK.value: webhook.send}
State = AlertDelivery.State


def queue(alert: BudgetAlert) -> None:
    """Queue a message to each of the product's targets, in the transaction that writes the alert."""
    _queue(alert.project, alert, channels.targets(alert.project), retries=len(PAUSES))


def queue_test(project: Project, channel: str) -> list[AlertDelivery]:
    """Queue a test message, tried once, to each of the channel's targets; there may be none."""
    targets = [target for target in channels.targets(project) if target[0] == channel]
    return _queue(project, None, targets, retries=0)


def _queue(
    project: Project, alert: BudgetAlert | None, targets: list[tuple[str, str]], *, retries: int
) -> list[AlertDelivery]:
    now = timezone.now()
    return AlertDelivery.objects.bulk_create(
        AlertDelivery(
            project=project,
            alert=alert,
            channel=channel,
            target=target,
            created_at=now,
            due_at=now,
            retries_left=retries,
        )
        for channel, target in targets
    )


def send_again(delivery: AlertDelivery) -> bool:
    """Make a message due now, whatever its state. Returns False while it is being sent."""
    again = {"state": State.PENDING, "due_at": timezone.now(), "error": ""}
    retries = len(PAUSES) if delivery.alert_id else 0
    idle = _only(delivery).exclude(state=State.SENDING)
    return bool(idle.update(**again, retries_left=retries))


def send_in_request(deliveries: list[AlertDelivery]) -> None:
    """Send now, while the user waits, for as long as a page may take. `send_due` sends the rest."""
    until = monotonic() + MAX_SECONDS_IN_REQUEST
    for delivery in deliveries:
        if monotonic() < until:
            attempt(delivery)


def send_due(stop: Callable[[], bool] = lambda: False) -> Counter[str]:
    """Try what is due, oldest first; count the resulting states. Any number of senders may run."""
    outcomes: Counter[str] = Counter()
    due = _due(timezone.now()).order_by("due_at", "pk").select_related("project", "alert")
    for delivery in list(due[:_BATCH]):  # no cursor stays open while others write
        if stop():
            break
        if attempt(delivery):
            outcomes[delivery.state] += 1
    return outcomes


def _due(now: datetime) -> QuerySet[AlertDelivery]:
    """What is due, including messages whose sender died."""
    return AlertDelivery.objects.filter(Q(state=State.PENDING) | Q(state=State.SENDING), due_at__lte=now)


def prune(before: datetime, batch: int = 5_000) -> int:
    """Delete older messages that were sent, dropped or given up, in short transactions; return how many.

    Crossings stay: they contain no addresses.
    """
    done = (State.SENT, State.DROPPED, State.FAILED)
    old = AlertDelivery.objects.filter(state__in=done, created_at__lt=before).order_by("created_at")
    deleted = 0
    while keys := list(old.values_list("pk", flat=True)[:batch]):
        deleted += AlertDelivery.objects.filter(pk__in=keys, state__in=done).delete()[0]
    return deleted


def _only(delivery: AlertDelivery) -> QuerySet[AlertDelivery]:
    return AlertDelivery.objects.filter(project=delivery.project_id, pk=delivery.pk)


def not_sent() -> dict[str, int]:
    """Numbers of messages that are waiting, being sent, and given up."""
    states = (State.PENDING, State.SENDING, State.FAILED)
    found = AlertDelivery.objects.filter(state__in=states).values_list("state").annotate(Count("pk"))
    return {state.value: 0 for state in states} | dict(found)


def attempt(delivery: AlertDelivery) -> bool:
    """Claim a message, try once, and record the outcome. Returns False if another sender has claimed it."""
    now = timezone.now()
    lease = now + LEASE
    claimed = {"state": State.SENDING, "due_at": lease, "attempted_at": now, "attempts": F("attempts") + 1}
    if not (_due(now) & _only(delivery)).update(**claimed):
        return False
    delivery.refresh_from_db(fields=["attempts", "attempted_at", "retries_left"])
    _finish(delivery, lease, _outcome(delivery))
    return True


def _outcome(delivery: AlertDelivery) -> dict[str, object]:
    """Send a message; return the fields to update with the outcome."""
    try:
        if not _find_target(delivery):
            return {"state": State.DROPPED, "error": "The product no longer sends alerts to this address."}
        _SEND[delivery.channel](delivery)
    except Undelivered as reason:
        return _failed(delivery, str(reason))
    except Exception:  # whatever happened, the other messages still go out
        log.exception("Sending %s failed.", delivery)
        return _failed(delivery, "It failed unexpectedly. The server's log has the details.")
    return {"state": State.SENT, "sent_at": timezone.now(), "error": "", "target": delivery.target}


def _find_target(delivery: AlertDelivery) -> bool:
    """Whether the target still applies: a person may have left since, or a webhook's URL have changed."""
    choice = channels.chosen(delivery.project)
    if delivery.channel == AlertDelivery.Channel.WEBHOOK:
        delivery.target = choice.webhook_url or delivery.target
        return bool(choice.webhook_url)
    return delivery.target in channels.recipients(delivery.project, choice)


def _failed(delivery: AlertDelivery, reason: str) -> dict[str, object]:
    fields = {"error": reason, "target": delivery.target}
    left = delivery.retries_left
    if not left:
        return {**fields, "state": State.FAILED}
    return {
        **fields,
        "state": State.PENDING,
        "retries_left": left - 1,
        "due_at": timezone.now() + PAUSES[-left],
    }


def _finish(delivery: AlertDelivery, lease: datetime, fields: dict[str, object]) -> None:
    """Record the outcome, unless the claim has expired and another sender has claimed the message."""
    claimed = _only(delivery).filter(state=State.SENDING, due_at=lease)
    if not claimed.update(**fields):
        log.warning("%s took longer than its claim.", delivery)
    delivery.refresh_from_db()
