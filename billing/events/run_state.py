"""The state of runs and jobs as a function of the set of recorded events. Pure.

Applying an event is commutative, associative and idempotent, so late, repeated and parallel senders need
no special treatment anywhere else. README's section on runs and jobs states the rules.
"""

from datetime import date, datetime

from billing.events.usage_event import DEDUCTION, JOB, STATUSES, UsageEvent
from products.agent_types import OTHER
from products.statuses import FAILED, RUNNING, SUCCEEDED

_RANK = {status: rank for rank, status in enumerate(("", *STATUSES))}


def earlier(a: datetime | None, b: datetime | None) -> datetime | None:
    return b if a is None or (b is not None and b < a) else a


def later(a: datetime | None, b: datetime | None) -> datetime | None:
    return b if a is None or (b is not None and b > a) else a


def better_name(current: str, reported: str, weakest: str = OTHER) -> str:
    """Any name beats "" and `other`; of two different names the lesser by code point wins."""
    if reported in ("", current, weakest) and current:
        return current
    return reported if current in ("", weakest) else min(current, reported)


class State:
    """The part that runs and jobs share. `pk` is None until the row is written."""

    __slots__ = (
        *(
            "pk",
            "reported_status",
            "reported_started_at",
            "reported_finished_at",
            "first_event_at",
            "last_event_at",
        ),
        "stored",
    )

    def __init__(
        self,
        pk: int | None = None,
        reported_status: str = "",
        reported_started_at: datetime | None = None,
        reported_finished_at: datetime | None = None,
        first_event_at: datetime | None = None,
        last_event_at: datetime | None = None,
    ) -> None:
        self.pk = pk
        self.reported_status = reported_status
        self.reported_started_at = reported_started_at
        self.reported_finished_at = reported_finished_at
        self.first_event_at = first_event_at
        self.last_event_at = last_event_at
        self.stored: tuple[object, ...] | None = None
        """The columns as the database has them; None for a new row."""

    def apply_report(self, status: str, started: datetime | None, finished: datetime | None) -> bool:
        """Apply a reported status, start and finish; return whether anything changed."""
        changed = False
        if _RANK[status] > _RANK[self.reported_status]:
            self.reported_status = status
            changed = True
        if started is not None and (self.reported_started_at is None or started < self.reported_started_at):
            self.reported_started_at = started
            changed = True
        if finished is not None and (
            self.reported_finished_at is None or finished > self.reported_finished_at
        ):
            self.reported_finished_at = finished
            changed = True
        return changed

    def apply_instant(self, instant: datetime) -> bool:
        """Apply the instant of a deduction or job event; return whether anything changed.

        Refunds are not applied: they move neither start nor finish.
        """
        changed = False
        if self.first_event_at is None or instant < self.first_event_at:
            self.first_event_at = instant
            changed = True
        if self.last_event_at is None or instant > self.last_event_at:
            self.last_event_at = instant
            changed = True
        return changed

    @property
    def status(self) -> str:
        raise NotImplementedError

    @property
    def started_at(self) -> datetime | None:
        return self.reported_started_at or self.first_event_at

    @property
    def finished_at(self) -> datetime | None:
        return None if self.status == RUNNING else self.reported_finished_at or self.last_event_at


class RunState(State):
    __slots__ = ("failed_jobs", "job_count", "reported_trigger", "run_id", "running_jobs")

    def __init__(
        self,
        run_id: str,
        reported_trigger: str = "",
        job_count: int = 0,
        running_jobs: int = 0,
        failed_jobs: int = 0,
        *shared: object,
    ) -> None:
        super().__init__(*shared)  # type: ignore[arg-type]  # the columns of a row, in order
        self.run_id = run_id
        self.reported_trigger = reported_trigger
        self.job_count = job_count
        self.running_jobs = running_jobs
        self.failed_jobs = failed_jobs

    def apply(self, event: UsageEvent) -> bool:
        """Apply what an event reports on its run; return whether anything changed."""
        changed = self.apply_report(event.run_status, event.run_started_at, event.run_finished_at)
        if event.trigger:
            trigger = better_name(self.reported_trigger, event.trigger)
            changed |= trigger != self.reported_trigger
            self.reported_trigger = trigger
        if event.kind in (DEDUCTION, JOB):
            changed |= self.apply_instant(event.occurred_at)
        return changed

    def count_job(self, before: str | None, after: str | None) -> None:
        """Count a job whose status changed from `before` to `after`. None: it didn't, or doesn't, count."""
        self.job_count += (after is not None) - (before is not None)
        self.running_jobs += (after == RUNNING) - (before == RUNNING)
        self.failed_jobs += (after == FAILED) - (before == FAILED)

    @property
    def status(self) -> str:
        if self.reported_status:
            return self.reported_status
        if self.running_jobs:
            return RUNNING
        return FAILED if self.failed_jobs else SUCCEEDED


class JobState(State):
    __slots__ = ("agent_type", "before", "has_call_report", "has_deduction", "job_id", "run")

    def __init__(
        self,
        run: RunState,
        job_id: str,
        agent_type: str = "",
        has_deduction: bool = False,
        has_call_report: bool = False,
        *shared: object,
    ) -> None:
        super().__init__(*shared)  # type: ignore[arg-type]  # the columns of a row, in order
        self.run = run
        self.job_id = job_id
        self.agent_type = agent_type
        self.has_deduction = has_deduction
        self.has_call_report = has_call_report
        self.before: JobSnapshot | None = None
        """The job before this batch, as the rollups count it; None for a new job."""

    def apply(self, event: UsageEvent, agent_type: str) -> bool:
        """Apply what an event reports on its job; return whether anything changed.

        `agent_type` is the slug that the event's agent type is recorded under.
        """
        changed = self.apply_report(event.job_status, event.job_started_at, event.job_finished_at)
        if agent_type not in ("", OTHER):  # a reported `other` is stored, and read back, as no report
            better = better_name(self.agent_type, agent_type)
            changed |= better != self.agent_type
            self.agent_type = better
        if event.kind in (DEDUCTION, JOB):
            changed |= self.apply_instant(event.occurred_at)
        return changed

    @property
    def status(self) -> str:
        has_usage = self.has_deduction or self.has_call_report
        return self.reported_status or (SUCCEEDED if has_usage else RUNNING)

    @property
    def finished_at(self) -> datetime | None:
        return None if self.is_superseded else super().finished_at

    @property
    def is_superseded(self) -> bool:
        """Whether all its calls are booked on other senders' jobs. Such a job counts nowhere."""
        return self.has_call_report and not self.has_deduction


class JobSnapshot:
    """What the rollups depend on of a job: its agent type, its status and the day on which it finished."""

    __slots__ = ("agent_type", "finished_on", "is_superseded", "status")

    def __init__(
        self, agent_type: str, status: str, finished_on: date | None, is_superseded: bool = False
    ) -> None:
        self.agent_type = agent_type
        self.status = status
        self.finished_on = finished_on
        self.is_superseded = is_superseded

    @property
    def counted_status(self) -> str | None:
        """The status that the run counts the job under."""
        return None if self.is_superseded else self.status
