"""The ledger writer: records batches of usage events. Nothing else writes runs, jobs or transactions.

Every event that it reports as recorded is in the ledger and in the rollups; after an exception nothing of
the batch is. Recording an event again changes nothing, even if several senders do so at the same time.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Literal

import msgspec
from django.conf import settings
from django.db import connection
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL
from django.utils import timezone

from billing import periods, signals
from billing.db import bulk
from billing.events.cost import NO_COST, Cost
from billing.events.run_state import JobState
from billing.events.usage_event import DEDUCTION, JOB, REVERSAL, Rejection, UsageEvent
from billing.ledger import costs, lookup, reservations, sqlite_lock
from billing.ledger.calls import adjustments, batch, store
from billing.ledger.calls.adjustments import Adjustments, NewLine
from billing.ledger.calls.batch import Nested
from billing.ledger.calls.groups import Calls
from billing.ledger.calls.lookalikes import pairs
from billing.ledger.outcomes import Outcome, compare, withheld
from billing.ledger.unit_of_work import AgentTypes, Jobs, Runs
from billing.models import BASIS_COLUMNS, CreditTransaction
from billing.rollups import updates
from products.models import Project

Then = Callable[[Sequence[Outcome]], None]
"""Called with the outcomes of a batch, in its transaction and under its lock."""

NOTHING_REPRICED: Mapping[str, Cost] = MappingProxyType({})


def record(
    project: Project,
    events: Sequence[UsageEvent | Rejection],
    *,
    atomic: bool = False,
    nested: Sequence[Nested] = (),
    repriced: Mapping[str, Cost] = NOTHING_REPRICED,
    then: Then | None = None,
) -> list[Outcome]:
    """Record events in one transaction; return an outcome for each, in the same order.

    Rejections and conflicts are reported, and the other events recorded. With `atomic`, nothing is recorded
    if there is a rejection or conflict. An exception (a lost connection, a sum over 64 bits) records nothing.
    `nested` are deductions, here or in the ledger, that report one model call. `repriced` are new costs of
    deductions in the ledger, by the event ids that their senders sent.
    """
    events = lookup.under_earlier_runs(project, events)
    found = costs.find(project, events)
    events = [costs.reject_absurd(event, cost) for event, cost in zip(events, found, strict=True)]
    with sqlite_lock.writing():
        outcomes = _Batch(lock(project), events, found, nested, repriced).record(atomic)
        if then:
            then(outcomes)
        return outcomes


def lock(project: Project) -> Project:
    """Lock the project's row until the transaction ends, and return the project as it is now.

    All writers of a project queue here, which makes every look-up-then-write of the ledger writer free of
    races. On SQLite the transaction is IMMEDIATE and has locked the whole database already.
    """
    rows: QuerySet[Project] = Project.objects.all()
    if connection.vendor == "postgresql":
        rows = _with_lock_timeout(settings.LOCK_TIMEOUT, rows).select_for_update(no_key=True)
    return rows.get(pk=project.pk)


def _with_lock_timeout(seconds: float, rows: QuerySet[Project]) -> QuerySet[Project]:
    """Limit how long PostgreSQL waits for the lock; it would wait for ever, and so would the worker.

    SQLite's connections have the same timeout from the settings. As a condition of the query it saves a round
    trip, because PostgreSQL evaluates conditions before it locks the row. On a cluster the condition would
    apply on the machine that has the row only, not to the locks that the coordinator takes.
    """
    milliseconds = max(int(seconds * 1000), 1)  # 0 would mean no limit
    if settings.DISTRIBUTED:
        from billing.db.citus import locks

        locks.wait_at_most(milliseconds)
        return rows
    condition = "set_config('lock_timeout', %s, true) IS NOT NULL"
    # No input goes into this SQL.
    return rows.filter(RawSQL(condition, [str(milliseconds)], output_field=BooleanField()))  # noqa: S611


class _Batch:
    """One call of `record`, under the project's lock."""

    def __init__(
        self,
        project: Project,
        events: Sequence[UsageEvent | Rejection],
        costs: Sequence[Cost],
        nested: Sequence[Nested],
        repriced: Mapping[str, Cost],
    ) -> None:
        self.project = project
        self.nested = nested
        self.repriced = repriced
        self.zone = periods.zone(project.time_zone)
        self.now = timezone.now()
        self.events = events
        self.costs = costs

    def record(self, atomic: bool) -> list[Outcome]:
        outcomes = compare(self.project, self.events)
        if atomic and any(outcome.status in ("rejected", "conflict") for outcome in outcomes):
            return [withheld(outcome) for outcome in outcomes]
        accepted = [
            (position, event)
            for position, (event, outcome) in enumerate(zip(self.events, outcomes, strict=True))
            if isinstance(event, UsageEvent) and outcome.status in ("recorded", "duplicate")
        ]
        if not accepted and not self.nested and not self.repriced:
            return outcomes
        ended = reservations.end(self.project, (event for _, event in accepted))
        changed = self.write(outcomes, accepted)
        if changed or ended:
            self.project.renew_version()
        return outcomes

    def write(self, outcomes: list[Outcome], accepted: list[tuple[int, UsageEvent]]) -> bool:
        """Write runs, jobs, ledger and rollups, and complete `outcomes`; return whether anything changed."""
        of_runs = [event for _, event in accepted if event.run_id]
        agent_types = AgentTypes(self.project, (event.agent_type for event in of_runs))
        runs = Runs(self.project, of_runs)
        jobs = Jobs(self.project, runs, of_runs, agent_types, self.zone)
        job_of = self.apply(outcomes, accepted, agent_types, runs, jobs)
        calls, new = self.calls(outcomes, accepted, runs, jobs)
        adjusted = adjustments.settle(self.project, calls)
        self.note_usage(new, job_of, calls, adjusted, jobs)
        for position, event in accepted:
            if event.kind != JOB and outcomes[position].status == "recorded":
                outcomes[position] = self.with_notes(
                    outcomes[position], self.costs[position], event, agent_types
                )

        changes = updates.Changes()
        for job, before, after in jobs.moved():
            changes.move(jobs.recorded_sums(job), before, after)
        for job in jobs:
            now = jobs.snapshot(job)
            changes.count_job(job.before, now)
            job.run.count_job(job.before.counted_status if job.before else None, now.counted_status)
        changed = runs.write() + jobs.write() + len(new) + len(adjusted.lines)
        self.write_ledger(new, job_of, changes)
        self.write_adjustments(adjusted, jobs, changes)
        store.write(self.project, calls, jobs)
        pairs.update(self.project, calls, self.zone)
        updates.add(self.project, agent_types, changes)
        signals.announce(self.project, changes.months_of_spend())
        self.note_first_usage()
        return changed > 0

    def calls(
        self, outcomes: list[Outcome], accepted: list[tuple[int, UsageEvent]], runs: Runs, jobs: Jobs
    ) -> tuple[Calls, list[int]]:
        """The model calls that the batch names, and the positions of new transactions that name none.

        Deductions that change nothing of their call become duplicates.
        """
        nested_ids = {event_id for pair in self.nested for event_id in pair[:2]}
        # The same event may be in the batch twice, and only once name its call.
        named_ids = nested_ids | {event.event_id for _, event in accepted if event.call_ids}
        named, others = [], []
        for position, event in accepted:
            if event.kind != JOB and event.event_id in named_ids:
                named.append((position, event))
            elif event.kind != JOB and outcomes[position].status == "recorded":
                others.append(position)
        if not (named or self.nested or self.repriced or jobs.newly_named()):
            return Calls(), others
        reports = [batch.Named(event, self.costs[position]) for position, event in named]
        calls, changed = batch.collect(
            self.project, reports, batch.Found(self.nested, self.repriced), runs, jobs
        )
        for (position, event), has_changed in zip(named, changed, strict=True):
            outcomes[position] = Outcome(
                status="recorded" if has_changed else "duplicate", event_id=event.event_id
            )
        return calls, others

    def apply(
        self,
        outcomes: list[Outcome],
        accepted: list[tuple[int, UsageEvent]],
        agent_types: AgentTypes,
        runs: Runs,
        jobs: Jobs,
    ) -> dict[int, JobState]:
        """Apply each event to its run and job; return the job of each event by the event's position."""
        job_of = {}
        for position, event in accepted:
            if not event.run_id:
                continue
            run, run_is_new = runs.of(event)
            job, job_is_new = jobs.of(run, event)
            job_of[position] = job
            changed = run.apply(event)
            changed |= job.apply(event, agent_types.slug_for(event.agent_type))
            if event.kind == JOB and (changed or run_is_new or job_is_new):
                outcomes[position] = self.with_notes(
                    Outcome(status="recorded", event_id=event.event_id), NO_COST, event, agent_types
                )
        return job_of

    def note_usage(
        self,
        new: list[int],
        job_of: dict[int, JobState],
        calls: Calls,
        adjusted: Adjustments,
        jobs: Jobs,
    ) -> None:
        """Note on each job whether it will have a deduction, and whether a call was reported for it."""
        for group in calls.touched():
            for report in group.reports:
                jobs.at(report.place).has_call_report = True
        losing = {jobs.at(place): pks for place, pks in adjusted.reversed_pks.items()}
        if losing:
            by_pk = {job.pk: pks for job, pks in losing.items() if job.pk is not None}
            empty = adjustments.jobs_without_deduction(self.project, by_pk)
            for job in losing:
                job.has_deduction = job.pk not in empty
        for line in adjusted.booked:
            jobs.at(line.place).has_deduction = True
        for position in new:
            event = self.events[position]
            if isinstance(event, UsageEvent) and event.kind == DEDUCTION:
                job_of[position].has_deduction = True

    def with_notes(
        self, outcome: Outcome, cost: Cost, event: UsageEvent | Rejection, agent_types: AgentTypes
    ) -> Outcome:
        """The outcome of a recorded event with what its sender should know about price and agent type."""
        assert isinstance(event, UsageEvent)
        unpriced = event.model if cost.source == costs.UNPRICED else None
        replaced = event.agent_type if agent_types.is_over_limit(event.agent_type) else None
        if unpriced is None and replaced is None:
            return outcome
        return msgspec.structs.replace(outcome, unpriced_model=unpriced, recorded_as_other=replaced)

    def write_ledger(self, new: list[int], job_of: dict[int, JobState], changes: updates.Changes) -> None:
        rows = []
        for position in sorted(new, key=lambda position: self.events[position].event_id):
            event = self.events[position]
            assert isinstance(event, UsageEvent)
            nanos, source, basis = self.costs[position]
            billed_on = periods.day_of(event.occurred_at, self.zone)
            job = job_of.get(position)
            changes.add_transaction(event, job, billed_on, self.costs[position])
            t = event.tokens
            rows.append(
                (
                    *(self.project.pk, job.pk if job else None, event.event_id, event.kind, nanos, source),
                    *(event.model, t.input, t.cache_read, t.cache_write, t.cache_write_1h, t.output),
                    *(event.occurred_at, billed_on, self.now, *basis),
                )
            )
        if rows:
            bulk.insert(CreditTransaction, COLUMNS, rows)

    def write_adjustments(self, adjusted: Adjustments, jobs: Jobs, changes: updates.Changes) -> None:
        lines = sorted(adjusted.lines, key=lambda line: line.event_id)
        if not lines:
            return
        rows, corrected = [], []
        for pk, line in zip(bulk.next_ids(CreditTransaction, len(lines)), lines, strict=True):
            job = jobs.at(line.place)
            billed_on = periods.day_of(line.occurred_at, self.zone)
            sign: Literal[1, -1] = -1 if line.kind == REVERSAL else 1
            priced = line.missing_nanos is not None
            source = costs.COMPUTED if priced else line.cost_source  # as `corrections` leaves the rollups
            cost = Cost(line.nanos, source, line.basis)
            changes.add_usage(job, billed_on, cost, line.model, line.tokens, sign)
            rows.append((pk, *self.row(line, job, billed_on), line.adjusts, None))
            if priced:
                missing = adjustments.correction_of(line)
                cost = Cost(missing.nanos, costs.COMPUTED)
                changes.add_usage(job, billed_on, cost, line.model, missing.tokens)
                corrected.append((*self.row(missing, job, billed_on), line.adjusts, pk))
        bulk.insert(CreditTransaction, ("id", *COLUMNS, "adjusts_id", "corrects_id"), rows)
        bulk.insert(CreditTransaction, (*COLUMNS, "adjusts_id", "corrects_id"), corrected)

    def row(self, line: NewLine, job: JobState, billed_on: date) -> tuple[object, ...]:
        t = line.tokens
        return (
            *(self.project.pk, job.pk, line.event_id, line.kind, line.nanos, line.cost_source),
            *(line.model, t.input, t.cache_read, t.cache_write, t.cache_write_1h, t.output),
            *(line.occurred_at, billed_on, self.now, *line.basis),
        )

    def note_first_usage(self) -> None:
        """Fix the project's billing zone: from now on days and months are counted in it."""
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
    *("occurred_at", "billed_on", "recorded_at", *BASIS_COLUMNS),
)
