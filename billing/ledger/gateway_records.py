"""Record what a gateway reports, whose ids may come again for something else.

LiteLLM gives a call that is tried again, and a stream whose counts have grown, the id of its first record;
clients and providers give one id to several calls. So a record with a known id at another instant is of
another call, under `<id>@<instant>`. One of the same instant with other counts is another report,
under `<id>+<counts>`: if its counts have grown it is of the same call, of which the larger report stands.

The plain id belongs to the record that came first. The same records in any order are the same reports.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple, TypeGuard

from msgspec.structs import astuple, replace

from billing import ledger
from billing.db import bulk
from billing.events.usage_event import ID_LENGTH, Rejection, Tokens, UsageEvent
from billing.ledger import Outcome, Then, sqlite_lock
from billing.ledger.lookup import lines
from billing.models import CallReport
from billing.sources import litellm
from billing.sources.foreign_ids import foreign_id, reused_id
from products.models import Project


def record(
    project: Project,
    events: Sequence[UsageEvent | Rejection],
    *,
    atomic: bool = False,
    then: Then | None = None,
) -> list[Outcome]:
    """`ledger.record` for events of which some may be a gateway's."""
    if not any(_is_gateways(event) for event in events):
        return ledger.record(project, events, atomic=atomic, then=then)
    with sqlite_lock.writing():
        project = ledger.lock(project)
        return ledger.record(project, _under_their_ids(project, events), atomic=atomic, then=then)


def _is_gateways(event: UsageEvent | Rejection) -> TypeGuard[UsageEvent]:
    return isinstance(event, UsageEvent) and event.sender == litellm.NAME


class _Known(NamedTuple):
    """What an id means, in the ledger or earlier in the batch."""

    occurred_at: datetime
    tokens: Tokens
    sender: str = litellm.NAME
    place: tuple[str, str] | None = None
    """The run and job of a transaction whose sender is not known."""

    def is_gateways(self, event: UsageEvent) -> bool:
        """Whether the gateway gave the id; a usage event may have the response's id as its own."""
        if self.place is None:
            return self.sender == litellm.NAME
        return not event.call_ids or self.place == (event.run_id, event.job_id)

    def is_of(self, event: UsageEvent) -> bool:
        return (self.occurred_at, self.tokens) == (event.occurred_at, event.tokens)


def _under_their_ids(
    project: Project, events: Sequence[UsageEvent | Rejection]
) -> Sequence[UsageEvent | Rejection]:
    """The events, those of the gateway under the ids that are theirs in the ledger."""
    own = [event for event in events if _is_gateways(event)]
    known = _known(project, {event.event_id for event in own})
    as_sent = dict(known)
    others = [event for event in own if not _first_of(event, event.event_id, as_sent).is_of(event)]
    if not others:
        return events
    known |= _known(project, {_at_its_instant(event) for event in others})
    return [
        replace(event, event_id=_its_id(event, known)) if _is_gateways(event) else event for event in events
    ]


def _its_id(event: UsageEvent, known: dict[str, _Known]) -> str:
    first = _first_of(event, event.event_id, known)
    if first.is_of(event) or not first.is_gateways(event):
        return event.event_id
    event_id = event.event_id
    if first.occurred_at != event.occurred_at:
        event_id = _at_its_instant(event)
        if _first_of(event, event_id, known).is_of(event):
            return event_id
    counts = ",".join(map(str, astuple(event.tokens)))
    return foreign_id(f"{event_id}+{counts}", ID_LENGTH)


def _first_of(event: UsageEvent, event_id: str, known: dict[str, _Known]) -> _Known:
    """What the id means; from now on this event, if it has had no meaning."""
    return known.setdefault(event_id, _Known(event.occurred_at, event.tokens))


def _at_its_instant(event: UsageEvent) -> str:
    return foreign_id(reused_id(event.event_id, event.occurred_at), ID_LENGTH)


_COLUMNS = (
    *("event_id", "occurred_at", "sender"),
    *("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens"),
)


def _known(project: Project, event_ids: Collection[str]) -> dict[str, _Known]:
    wanted = sorted(event_ids)
    known = {
        line.event_id: _Known(line.occurred_at, line.tokens, "", (line.run_id, line.job_id))
        for line in lines(project, wanted)
    }
    if project.has_call_ids:  # a report tells its sender, and one that does not stand has no line
        found = bulk.find(CallReport, project.pk, ("event_id",), [(one,) for one in wanted], _COLUMNS)
        known |= {event_id: _Known(at, Tokens(*counts), sender) for event_id, at, sender, *counts in found}
    return known
