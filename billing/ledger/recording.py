"""The one door: records a batch of usage events, and is the only writer of runs, jobs and money.

Everything that it answers as recorded is in the ledger with its rollups; after an exception nothing
of the batch is. The same event again changes nothing, whoever sends it, however often, in parallel.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from django.conf import settings
from django.db import connection
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL
from django.utils import timezone

from billing import periods, signals
from billing.db import bulk
from billing.events.run_state import KnownJob
from billing.events.usage_event import JOB, Rejection, UsageEvent
from billing.ledger import costs, lookup, reservations, sqlite_lock
from billing.ledger.costs import Cost
from billing.ledger.unit_of_work import AgentTypes, Jobs, Runs
from billing.models import CreditTransaction
from billing.rollups import updates
from products.models import Project

Status = Literal["recorded", "duplicate", "conflict", "rejected", "withheld"]


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of one event. `withheld`: sound, but an atomic batch failed by another one."""

    status: Status
    event_id: str = ""
    field: str = ""
    reason: str = ""
    unpriced_model: str | None = None
    """The model whose price is not known, where the event was recorded as unpriced."""
    booked_as_other: str | None = None
    """The agent type beyond the project's limit that was booked under `other`."""


def record(
    project: Project, events: Sequence[UsageEvent | Rejection], *, atomic: bool = False
) -> list[Outcome]:
    """Record events in one transaction; one outcome each, in their order.

    Rejections and conflicts are reported and the rest recorded together; with `atomic` nothing is
    recorded if there are any. An exception (a lost connection, a sum beyond 64 bits) records nothing.
    """
    found = costs.find(project, events)
    events = [costs.unless_absurd(event, cost) for event, cost in zip(events, found, strict=True)]
    with sqlite_lock.writing():
        return _Batch(lock(project), events, found).record(atomic)


def lock(project: Project) -> Project:
    """The project's row, locked until the transaction ends: all writers of one project queue here.

    It makes every look-up-then-write of the door race-free. On SQLite the transaction is IMMEDIATE
    and holds the lock on the whole database already.
    """
    rows: QuerySet[Project] = Project.objects.all()
    if connection.vendor == "postgresql":
        rows = _waiting_no_longer_than(settings.LOCK_TIMEOUT, rows).select_for_update(no_key=True)
    return rows.get(pk=project.pk)


def _waiting_no_longer_than(seconds: float, rows: QuerySet[Project]) -> QuerySet[Project]:
    """SQLite's connections wait so long anyhow; PostgreSQL's would wait for ever, each with a worker.

    A condition, because a row's conditions are asked before it is locked: it saves a round trip.
    """
    milliseconds = max(int(seconds * 1000), 1)  # 0 would be for ever
    if settings.DISTRIBUTED:
        from billing.db.citus import locks

        locks.wait_at_most(milliseconds)
        return rows
    condition = "set_config('lock_timeout', %s, true) IS NOT NULL"
    # Our own words.
    return rows.filter(RawSQL(condition, [str(milliseconds)], output_field=BooleanField()))  # noqa: S611


class _Batch:
    """One call of the door, under the project's lock."""

    def __init__(
        self, project: Project, events: Sequence[UsageEvent | Rejection], costs: Sequence[Cost]
    ) -> None:
        self.project = project
        self.zone = periods.zone(project.time_zone)
        self.events = events
        self.costs = costs

    def record(self, atomic: bool) -> list[Outcome]:
        verdicts = self.judge()
        if atomic and any(verdict.status in ("rejected", "conflict") for verdict in verdicts):
            return [_withheld(verdict) for verdict in verdicts]
        heard = [
            (position, event)
            for position, (event, verdict) in enumerate(zip(self.events, verdicts, strict=True))
            if isinstance(event, UsageEvent) and verdict.status in ("recorded", "duplicate")
        ]
        if not heard:
            return verdicts
        ended = reservations.end(self.project, (event for _, event in heard))
        new = [
            position
            for position, event in heard
            if event.kind != JOB and verdicts[position].status == "recorded"
        ]
        changed = self.write(verdicts, heard, new)
        if changed or ended:
            self.project.renew()
        return verdicts

    def judge(self) -> list[Outcome]:
        """Tell new events from known ones; a job event's verdict is settled when it is heard."""
        known = _booked_content(self.project, self.events)
        first: dict[str, UsageEvent] = {}
        verdicts = []
        for event in self.events:
            if isinstance(event, Rejection):
                verdicts.append(
                    Outcome(
                        status="rejected", event_id=event.event_id, field=event.field, reason=event.reason
                    )
                )
            elif event.kind == JOB:
                verdicts.append(Outcome(status="duplicate", event_id=event.event_id))
            else:
                verdicts.append(_verdict(event, known.get(event.event_id), first))
        return verdicts

    def write(self, verdicts: list[Outcome], heard: list[tuple[int, UsageEvent]], new: list[int]) -> bool:
        """Whether anything is there now that was not before; what the events came to, into `verdicts`."""
        of_runs = [event for _, event in heard if event.run_id]
        agent_types = AgentTypes(self.project, (event.agent_type for event in of_runs))
        runs = Runs(self.project, of_runs)
        jobs = Jobs(self.project, runs, of_runs, agent_types, self.zone)
        job_of = self.hear(verdicts, heard, agent_types, runs, jobs)
        for position in new:
            verdicts[position] = self.noted(
                verdicts[position], self.costs[position], self.events[position], agent_types
            )

        changes = updates.Changes()
        for job, before, after in jobs.moved():
            changes.move(jobs.booked_sums(job), before, after)
        for job in jobs:
            changes.count_job(job.before, jobs.booking(job))
            job.run.count_job(job.before.status if job.before else None, job.status)
        changed = runs.write() + jobs.write() + len(new)
        self.write_ledger(new, job_of, changes)
        updates.add(self.project, agent_types, changes)
        signals.announce(self.project, changes.months_of_spend())
        self.note_first_usage()
        return changed > 0

    def hear(
        self,
        verdicts: list[Outcome],
        heard: list[tuple[int, UsageEvent]],
        agent_types: AgentTypes,
        runs: Runs,
        jobs: Jobs,
    ) -> dict[int, KnownJob]:
        """Let each event tell its run and job; returns the job of each event by its position."""
        job_of = {}
        for position, event in heard:
            if not event.run_id:
                continue
            run, run_is_new = runs.of(event)
            job, job_is_new = jobs.of(run, event)
            job_of[position] = job
            changed = run.hear(event)
            changed |= job.hear(event, agent_types.admitted(event.agent_type))
            if event.kind == JOB and (changed or run_is_new or job_is_new):
                verdicts[position] = self.noted(
                    Outcome(status="recorded", event_id=event.event_id), (0, ""), event, agent_types
                )
        return job_of

    def noted(
        self, verdict: Outcome, cost: Cost, event: UsageEvent | Rejection, agent_types: AgentTypes
    ) -> Outcome:
        """The verdict with what the sender should know besides."""
        assert isinstance(event, UsageEvent)
        unpriced = event.model if cost[1] == costs.UNPRICED else None
        beyond = event.agent_type if agent_types.is_beyond_limit(event.agent_type) else None
        if unpriced is None and beyond is None:
            return verdict
        return msgspec.structs.replace(verdict, unpriced_model=unpriced, booked_as_other=beyond)

    def write_ledger(self, new: list[int], job_of: dict[int, KnownJob], changes: "updates.Changes") -> None:
        now = timezone.now()
        rows = []
        for position in sorted(new, key=lambda position: self.events[position].event_id):
            event = self.events[position]
            assert isinstance(event, UsageEvent)
            nanos, source = self.costs[position]
            billed_on = periods.day_of(event.occurred_at, self.zone)
            job = job_of.get(position)
            changes.book(event, job, billed_on, nanos, source)
            t = event.tokens
            rows.append(
                (
                    *(self.project.pk, job.pk if job else None, event.event_id, event.kind, nanos, source),
                    *(event.model, t.input, t.cache_read, t.cache_write, t.cache_write_1h, t.output),
                    *(event.occurred_at, billed_on, now),
                )
            )
        if rows:
            bulk.insert(CreditTransaction, COLUMNS, rows)

    def note_first_usage(self) -> None:
        """From now on the project's billing zone is fixed: days and months have been counted in it."""
        if self.project.first_usage_at is None:
            Project.objects.filter(pk=self.project.pk).update(first_usage_at=timezone.now())


COLUMNS = (
    *("project_id", "job_id", "event_id", "kind", "amount_nanos", "cost_source"),
    *(
        "model",
        "input_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "output_tokens",
    ),
    *("occurred_at", "billed_on", "recorded_at"),
)


def _withheld(verdict: Outcome) -> Outcome:
    if verdict.status in ("rejected", "conflict"):
        return verdict
    return Outcome(status="withheld", event_id=verdict.event_id)


def _verdict(event: UsageEvent, known: tuple[object, ...] | None, first: dict[str, UsageEvent]) -> Outcome:
    """Compare with what is booked under the id, earlier or by the batch's `first` event with it."""
    if known is None:
        if event.event_id not in first:
            first[event.event_id] = event
            return Outcome(status="recorded", event_id=event.event_id)
        known = first[event.event_id].content
    content = event.content
    if known == content:
        return Outcome(status="duplicate", event_id=event.event_id)
    return Outcome(
        status="conflict",
        event_id=event.event_id,
        reason=f"this id is recorded with another {_difference(known, content)}",
    )


_CONTENT_NAMES = (
    *("kind", "occurredAt", "runId", "jobId", "model"),
    *("inputTokens", "cacheReadTokens", "cacheWriteTokens", "cacheWrite1hTokens", "outputTokens", "cost"),
)


def _difference(known: tuple[object, ...], told: tuple[object, ...]) -> str:
    names = [name for name, a, b in zip(_CONTENT_NAMES, known, told, strict=True) if a != b]
    return ", ".join(names)


def _booked_content(
    project: Project, events: Sequence[UsageEvent | Rejection]
) -> dict[str, tuple[object, ...]]:
    """The content that the ledger holds under the events' ids."""
    ids = {event.event_id for event in events if isinstance(event, UsageEvent) and event.kind != JOB}
    return {line.event_id: line.content for line in lookup.lines(project, ids)}


def count(outcomes: Iterable[Outcome]) -> Counter[str]:
    """How many events came to each status."""
    return Counter(outcome.status for outcome in outcomes)
