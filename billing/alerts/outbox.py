"""Messages on their way: each is claimed by one sender at a time, and tried until it is sent or given up.

A claim is committed before anything is sent. Who dies amid sending leaves the claim behind; when it
has run out, the next sender tries again, under the same id: of a message that had just been handed
over a receiver may then see a second copy, which says by its id that it is one.
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
"""How long a claim holds: far longer than any attempt takes."""
PAUSES = [timedelta(minutes=m) for m in (1, 2, 5, 15, 30, 60, 120, 240, *[360] * 6)]
"""Before each new attempt; after the last of them, almost two days, a message is given up."""
SECONDS_FOR_A_PERSON = 10
_AT_ONCE = 500

_SEND = {AlertDelivery.Channel.EMAIL.value: mail.send, AlertDelivery.Channel.WEBHOOK.value: webhook.send}
State = AlertDelivery.State


def queue(alert: BudgetAlert) -> None:
    """A message to each target that the product has now, in the transaction that writes the alert."""
    _queue(alert.project, alert, channels.targets(alert.project), retries=len(PAUSES))


def queue_test(project: Project, channel: str) -> list[AlertDelivery]:
    """To the channel's targets; tried once. None where the channel has no target, or no mail server."""
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
    """Make it due now, whatever became of it; False while somebody is sending it."""
    again = {"state": State.PENDING, "due_at": timezone.now(), "error": ""}
    retries = len(PAUSES) if delivery.alert_id else 0
    here = _only(delivery).exclude(state=State.SENDING)
    return bool(here.update(**again, retries_left=retries))


def send_for_a_person(deliveries: list[AlertDelivery]) -> None:
    """At once, as far as somebody who waits for a page can be kept; the rest is the sender's."""
    until = monotonic() + SECONDS_FOR_A_PERSON
    for delivery in deliveries:
        if monotonic() < until:
            attempt(delivery)


def send_due(stop: Callable[[], bool] = lambda: False) -> Counter[str]:
    """Try what is due, oldest first; how many came to each state. Any number of senders may run."""
    became: Counter[str] = Counter()
    due = _due(timezone.now()).order_by("due_at", "pk").select_related("project", "alert")
    for delivery in list(due[:_AT_ONCE]):  # no cursor stays open while others write
        if stop():
            break
        if attempt(delivery):
            became[delivery.state] += 1
    return became


def _due(now: datetime) -> QuerySet[AlertDelivery]:
    """Also what somebody died over."""
    return AlertDelivery.objects.filter(Q(state=State.PENDING) | Q(state=State.SENDING), due_at__lte=now)


def prune(before: datetime, batch: int = 5_000) -> int:
    """Drop what was sent, dropped or given up and is older, in short transactions; how many that were.

    Crossings stay: they tell nobody's address.
    """
    done = (State.SENT, State.DROPPED, State.FAILED)
    old = AlertDelivery.objects.filter(state__in=done, created_at__lt=before).order_by("created_at")
    dropped = 0
    while keys := list(old.values_list("pk", flat=True)[:batch]):
        dropped += AlertDelivery.objects.filter(pk__in=keys, state__in=done).delete()[0]
    return dropped


def _only(delivery: AlertDelivery) -> QuerySet[AlertDelivery]:
    return AlertDelivery.objects.filter(project=delivery.project_id, pk=delivery.pk)


def not_sent() -> dict[str, int]:
    """How many wait, are being sent and were given up."""
    states = (State.PENDING, State.SENDING, State.FAILED)
    found = AlertDelivery.objects.filter(state__in=states).values_list("state").annotate(Count("pk"))
    return {state.value: 0 for state in states} | dict(found)


def attempt(delivery: AlertDelivery) -> bool:
    """Claim it, try once, write down what became of it. False where another sender has it."""
    now = timezone.now()
    lease = now + LEASE
    claimed = {"state": State.SENDING, "due_at": lease, "attempted_at": now, "attempts": F("attempts") + 1}
    if not (_due(now) & _only(delivery)).update(**claimed):
        return False
    delivery.refresh_from_db(fields=["attempts", "attempted_at", "retries_left"])
    _finish(delivery, lease, _outcome(delivery))
    return True


def _outcome(delivery: AlertDelivery) -> dict[str, object]:
    """The fields that an attempt leaves behind."""
    try:
        if not _find_target(delivery):
            return {"state": State.DROPPED, "error": "Nobody is to be told there any more."}
        _SEND[delivery.channel](delivery)
    except Undelivered as reason:
        return _failed(delivery, str(reason))
    except Exception:  # whatever it is, the other messages still go out
        log.exception("Sending %s failed.", delivery)
        return _failed(delivery, "It failed in a way that only the server's log tells.")
    return {"state": State.SENT, "sent_at": timezone.now(), "error": "", "target": delivery.target}


def _find_target(delivery: AlertDelivery) -> bool:
    """A person may have left since it was queued, and a webhook's URL been corrected."""
    choice = channels.chosen(delivery.project)
    if delivery.channel == AlertDelivery.Channel.WEBHOOK:
        delivery.target = choice.webhook_url or delivery.target
        return bool(choice.webhook_url)
    return delivery.target in channels.recipients(delivery.project, choice)


def _failed(delivery: AlertDelivery, reason: str) -> dict[str, object]:
    told = {"error": reason, "target": delivery.target}
    left = delivery.retries_left
    if not left:
        return {**told, "state": State.FAILED}
    return {
        **told,
        "state": State.PENDING,
        "retries_left": left - 1,
        "due_at": timezone.now() + PAUSES[-left],
    }


def _finish(delivery: AlertDelivery, lease: datetime, left: dict[str, object]) -> None:
    """Unless the claim ran out and another sender has it by now."""
    held = _only(delivery).filter(state=State.SENDING, due_at=lease)
    if not held.update(**left):
        log.warning("%s took longer than its claim.", delivery)
    delivery.refresh_from_db()
