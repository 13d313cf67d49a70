"""Settle whether two senders report the same calls: for those that look alike by now, and those to come."""

from typing import Any

from django.utils import timezone

from billing import ledger
from billing.ledger import sqlite_lock
from billing.ledger.calls.batch import Nested
from billing.ledger.calls.lookalikes.likeness import Alike, Senders, matched
from billing.models import Lookalike, LookalikeDecision
from products import audit
from products.models import Project

Decision = LookalikeDecision.Decision
_CHUNK = 1_000


def is_known(project: Project, senders: Senders) -> bool:
    """Whether there is anything to decide, or has been."""
    of_pair = {"project": project, "sender_a": senders[0], "sender_b": senders[1]}
    return (
        Lookalike.objects.filter(**of_pair).exists() or LookalikeDecision.objects.filter(**of_pair).exists()
    )


def decide(project: Project, senders: Senders, decision: str, *, by: Any) -> int | None:
    """Record the decision; return how many calls are united by it, or None if it has been made already.

    Calls that were united stay so, whatever is decided later. The caller has checked that `by` may do this.
    """
    with sqlite_lock.writing():
        project = ledger.lock(project)
        of_pair: dict[str, Any] = {"project": project, "sender_a": senders[0], "sender_b": senders[1]}
        if LookalikeDecision.objects.filter(**of_pair, decision=decision).exists():
            return None
        made = {"decision": decision, "decided_by": by, "decided_at": timezone.now()}
        LookalikeDecision.objects.update_or_create(**of_pair, defaults=made)
        detail = f"{senders[0]} and {senders[1]}: {Decision(decision).label}"
        audit.record(audit.Kind.LOOKALIKES_DECIDED, by=by, project=project, detail=detail)
        united = _unite(project, senders) if decision == Decision.SAME_CALL else 0
        project.renew_version()
        return united


def _unite(project: Project, senders: Senders) -> int:
    """Make each pair of the two senders one call; return how many there are."""
    rows = Lookalike.objects.filter(project=project, sender_a=senders[0], sender_b=senders[1])
    calls = matched(Alike._make(row) for row in rows.values_list("margin", "outer", "inner"))
    rows.delete()
    nested = [Nested(pair.outer, pair.inner) for pair in calls]
    for start in range(0, len(nested), _CHUNK):
        ledger.record(project, [], nested=nested[start : start + _CHUNK])
    return len(nested)
