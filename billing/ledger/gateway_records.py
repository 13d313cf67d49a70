"""Record what a gateway reports, whose ids may come again for something else.

LiteLLM gives a call that is tried again, and a stream whose counts have grown, the id of its first record;
clients and providers give one id to several calls. So a record with a known id at another instant is of
another call, under `<id>@<instant>`. One of the same instant with other counts is another report,
under `<id>+<counts>`: if its counts have grown it is of the same call, of which the larger report stands.
One that states a cost where the first states none is under `<id>+stated`, and stands. If it says no more than
the first, or spells the model otherwise, it is a duplicate; another stated cost is a conflict.

The plain id belongs to the record that came first. The same records in any order are the same reports.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, TypeGuard

from msgspec.structs import astuple, replace

from billing import ledger
from billing.db import bulk
from billing.events.usage_event import ID_LENGTH, Rejection, Tokens, UsageEvent
from billing.ledger import Outcome, Then, sqlite_lock
from billing.ledger.calls.families import family
from billing.ledger.lookup import lines
from billing.models import CallReport, CostSource
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
    model: str
    tokens: Tokens
    stated_nanos: int | None
    sender: str = litellm.NAME
    place: tuple[str, str] | None = None
    """The run and job of a transaction whose sender is not known."""

    def is_gateways(self, event: UsageEvent) -> bool:
        """Whether the gateway gave the id; a usage event may have the response's id as its own."""
        if self.place is None:
            return self.sender == litellm.NAME
        return not event.call_ids or self.place == (event.run_id, event.job_id)

    def is_of(self, event: UsageEvent) -> bool:
        return self == self._replace(
            occurred_at=event.occurred_at,
            model=event.model,
            tokens=event.tokens,
            stated_nanos=event.stated_nanos,
        )

    def says_less_than(self, event: UsageEvent) -> bool:
        """Whether the event, of the same call, may have a cost that this has not."""
        if self.stated_nanos is not None or not event.call_ids or not self._is_same_model(event):
            return False
        return event.stated_nanos is not None or event.model != self.model

    def repeated_by(self, event: UsageEvent) -> UsageEvent:
        """The event in the words of this, as far as it says the same or less."""
        states_another = event.stated_nanos is not None and event.stated_nanos != (self.stated_nanos or 0)
        if states_another or not self._is_same_model(event):
            return event
        return replace(event, model=self.model or event.model, stated_nanos=self.stated_nanos)

    def _is_same_model(self, event: UsageEvent) -> bool:
        """Whether the names are of one model: some records have the provider before it, or none at all."""
        return not (self.model and event.model) or family(self.model) == family(event.model)


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
    known |= _known(project, {event_id for event in others for event_id in _other_ids(event)})
    return [_under_its_id(event, known) if _is_gateways(event) else event for event in events]


def _under_its_id(event: UsageEvent, known: dict[str, _Known]) -> UsageEvent:
    event_id = event.event_id
    first = _first_of(event, event_id, known)
    if first.is_of(event) or not first.is_gateways(event):
        return event
    if first.occurred_at != event.occurred_at:
        event_id = _at_its_instant(event)
        first = _first_of(event, event_id, known)
    if first.tokens != event.tokens:
        event_id = _with_its_counts(event, event_id)
        first = _first_of(event, event_id, known)
    if first.says_less_than(event):
        if first.place:  # it was recorded without its call's ids, which would link the two
            event = replace(event, earlier_ids=(*event.earlier_ids, event_id))
        event_id = _with_its_price(event, event_id)
        first = _first_of(event, event_id, known)
    return replace(first.repeated_by(event), event_id=event_id)


def _first_of(event: UsageEvent, event_id: str, known: dict[str, _Known]) -> _Known:
    """What the id means; from now on this event, if it has had no meaning."""
    return known.setdefault(
        event_id, _Known(event.occurred_at, event.model, event.tokens, event.stated_nanos)
    )


def _other_ids(event: UsageEvent) -> Iterator[str]:
    """The ids under which an event can be recorded, besides its own."""
    at_instant = _at_its_instant(event)
    yield at_instant
    for event_id in (event.event_id, at_instant):
        with_counts = _with_its_counts(event, event_id)
        yield with_counts
        yield _with_its_price(event, event_id)
        yield _with_its_price(event, with_counts)


def _at_its_instant(event: UsageEvent) -> str:
    return foreign_id(reused_id(event.event_id, event.occurred_at), ID_LENGTH)


def _with_its_counts(event: UsageEvent, event_id: str) -> str:
    counts = ",".join(map(str, astuple(event.tokens)))
    return foreign_id(f"{event_id}+{counts}", ID_LENGTH)


def _with_its_price(event: UsageEvent, event_id: str) -> str:
    """The id of a report whose cost is stated, or computed by another name of the model."""
    says = f"model:{event.model}" if event.stated_nanos is None else "stated"
    return foreign_id(f"{event_id}+{says}", ID_LENGTH)


_COLUMNS = (
    *("event_id", "sender", "occurred_at", "model", "amount_nanos", "cost_source"),
    *("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens"),
)
_REPORTED = CostSource.REPORTED.value


def _known(project: Project, event_ids: Collection[str]) -> dict[str, _Known]:
    wanted = sorted(event_ids)
    known = {
        line.event_id: _Known(
            *(line.occurred_at, line.model, line.tokens, line.stated_nanos), "", (line.run_id, line.job_id)
        )
        for line in lines(project, wanted)
    }
    if project.has_call_ids:  # a report tells its sender, and one that does not stand has no line
        found = bulk.find(CallReport, project.pk, ("event_id",), [(one,) for one in wanted], _COLUMNS)
        for event_id, sender, at, model, nanos, source, *counts in found:
            stated = nanos if source == _REPORTED else None
            known[event_id] = _Known(at, model, Tokens(*counts), stated, sender)
    return known
