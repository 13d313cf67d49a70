"""The runs, jobs and agent types that a batch touches: looked up once, changed, written back."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from billing import periods
from billing.db import bulk
from billing.events.run_state import JobSnapshot, JobState, RunState, State
from billing.models import CreditTransaction
from billing.rollups.definitions import SPEND, UNPRICED, WASTE
from products import agent_types as naming
from products.models import AgentJob, AgentType, PipelineRun, Project

_STATE_COLUMNS = (
    "id",
    "reported_status",
    "reported_started_at",
    "reported_finished_at",
    "first_event_at",
    "last_event_at",
)
_DERIVED_COLUMNS = ("status", "started_at", "finished_at")


class NamesJob(Protocol):
    """An event or anything else that names a job and its run by the sender's ids."""

    @property
    def run_id(self) -> str: ...

    @property
    def job_id(self) -> str: ...


class AgentTypes:
    """The project's agent types by slug.

    Creates those that are missing for the `reported` names, in order of slug, up to the limit.
    """

    def __init__(self, project: Project, reported: Iterable[str]) -> None:
        rows = AgentType.objects.filter(project=project).values_list("slug", "pk")
        self.ids: dict[str, int] = dict(rows)
        slugs = {name: naming.slug_of(name) for name in set(reported)}
        missing = sorted({*filter(None, slugs.values()), naming.OTHER} - self.ids.keys())
        created = self._create(project, missing)
        self._slug_of_pk = {pk: slug for slug, pk in self.ids.items()}
        self._slug_of_name = {name: self._within_limit(slug) for name, slug in slugs.items()}
        self._over_limit = {name for name, slug in slugs.items() if slug and slug not in self.ids}
        assert not created or self.ids.keys() >= set(created)

    def _create(self, project: Project, missing: list[str]) -> list[str]:
        room = max(naming.LIMIT - len(self.ids), 0)
        slugs = missing[:room]
        if naming.OTHER in missing and naming.OTHER not in slugs:
            slugs.append(naming.OTHER)
        if slugs:
            created = AgentType.objects.bulk_create(_new_agent_type(project, slug) for slug in slugs)
            self.ids.update((agent_type.slug, agent_type.pk) for agent_type in created)
        return slugs

    def _within_limit(self, slug: str) -> str:
        return slug if not slug or slug in self.ids else naming.OTHER

    def slug_for(self, name: str) -> str:
        """The slug that a reported name is recorded under; "" for no name."""
        return self._slug_of_name[name]

    def is_over_limit(self, name: str) -> bool:
        return name in self._over_limit

    def id_of(self, slug: str) -> int:
        return self.ids[slug or naming.OTHER]

    def slug_of(self, pk: int) -> str:
        return self._slug_of_pk[pk]


def _new_agent_type(project: Project, slug: str) -> AgentType:
    label, color = naming.label_and_color(slug)
    return AgentType(project=project, slug=slug, label=label, color=color)


class Runs:
    """The runs that a batch touches."""

    def __init__(self, project: Project, events: Iterable[NamesJob]) -> None:
        self.project = project
        self._runs: dict[str, RunState] = {}
        self.load(events)

    def load(self, events: Iterable[NamesJob]) -> None:
        """Look up the runs that these name, apart from those that are loaded."""
        ids = sorted({event.run_id for event in events} - self._runs.keys())
        columns = ("run_id", "reported_trigger", "job_count", "running_jobs", "failed_jobs", *_STATE_COLUMNS)
        for row in bulk.find(
            PipelineRun, self.project.pk, ("run_id",), [(run_id,) for run_id in ids], columns
        ):
            run = self._runs[row[0]] = RunState(*row)
            run.stored = _run_values(run)

    def of(self, event: NamesJob) -> tuple[RunState, bool]:
        """The run that an event names, and whether it is new."""
        run = self._runs.get(event.run_id)
        if run is not None:
            return run, False
        run = self._runs[event.run_id] = RunState(event.run_id)
        return run, True

    def existing(self) -> list[RunState]:
        return [run for run in self._runs.values() if run.pk is not None]

    def write(self) -> int:
        """Insert the new runs and update the changed ones; return how many these are."""
        new, changed = _new_and_changed(self._runs.values(), _run_values, key=lambda run: run.run_id)
        if new:
            _assign_ids(PipelineRun, new)
            rows = [(run.pk, self.project.pk, run.run_id, *_run_values(run)) for run in new]
            bulk.insert(PipelineRun, ("id", "project_id", "run_id", *_RUN_COLUMNS), rows)
        changes = [(*_run_values(run), run.pk) for run in changed]
        bulk.update(PipelineRun, self.project.pk, _RUN_COLUMNS, changes)
        return len(new) + len(changed)


_RUN_COLUMNS = (
    *(*_STATE_COLUMNS[1:], *_DERIVED_COLUMNS),
    *("reported_trigger", "job_count", "running_jobs", "failed_jobs"),
)


def _run_values(run: RunState) -> tuple[object, ...]:
    return (*_state_values(run), run.reported_trigger, run.job_count, run.running_jobs, run.failed_jobs)


def _state_values(state: State) -> tuple[object, ...]:
    return (
        *(state.reported_status, state.reported_started_at, state.reported_finished_at),
        *(state.first_event_at, state.last_event_at),
        *(state.status, state.started_at, state.finished_at),
    )


class Jobs:
    """The jobs that a batch touches, by run and job id."""

    def __init__(
        self,
        project: Project,
        runs: Runs,
        events: Iterable[NamesJob],
        agent_types: AgentTypes,
        zone: ZoneInfo,
    ) -> None:
        self.project = project
        self.runs = runs
        self.agent_types = agent_types
        self.zone = zone
        self._jobs: dict[tuple[str, str], JobState] = {}
        self._recorded: dict[int, list[dict[str, Any]]] | None = None
        self.load(events)

    def load(self, events: Iterable[NamesJob]) -> None:
        """Look up the jobs that these name, apart from those that are loaded. Their runs are loaded."""
        run_of = {run.pk: run for run in self.runs.existing()}
        pk_of = {run.run_id: run.pk for run in run_of.values() if run.pk}
        names = {(event.run_id, event.job_id) for event in events if event.run_id in pk_of}
        wanted = sorted((pk_of[run_id], job_id) for run_id, job_id in names - self._jobs.keys())
        columns = (
            *("run_id", "job_id", "agent_type_id", "has_deduction", "has_call_report"),
            *_STATE_COLUMNS,
        )
        found = bulk.find(AgentJob, self.project.pk, ("run_id", "job_id"), wanted, columns)
        for run_pk, job_id, agent_type, *rest in found:
            slug = self.agent_types.slug_of(agent_type)
            job = JobState(run_of[run_pk], job_id, "" if slug == naming.OTHER else slug, *rest)
            job.stored = self._values(job)
            job.before = self.snapshot(job)
            self._jobs[job.run.run_id, job_id] = job

    def newly_named(self) -> list[JobState]:
        """Jobs with reports of calls whose agent becomes known by this batch."""
        return [
            job
            for job in self
            if job.has_call_report and job.agent_type and job.before and job.before.agent_type == naming.OTHER
        ]

    def of(self, run: RunState, event: NamesJob) -> tuple[JobState, bool]:
        """The job of the run that an event names, and whether it is new."""
        job = self._jobs.get((run.run_id, event.job_id))
        if job is not None:
            return job, False
        job = self._jobs[run.run_id, event.job_id] = JobState(run, event.job_id)
        return job, True

    def at(self, place: NamesJob) -> JobState:
        """The job that the batch has loaded or made."""
        return self._jobs[place.run_id, place.job_id]

    def __iter__(self) -> Iterator[JobState]:
        return iter(self._jobs.values())

    def finished_on(self, job: JobState) -> date | None:
        finished_at = job.finished_at
        return finished_at and periods.day_of(finished_at, self.zone)

    def snapshot(self, job: JobState) -> JobSnapshot:
        """The job as the rollups have to count it now."""
        agent_type = job.agent_type or naming.OTHER
        return JobSnapshot(agent_type, job.status, self.finished_on(job), job.is_superseded)

    def moved(self) -> list[tuple[JobState, JobSnapshot, JobSnapshot]]:
        """Jobs whose recorded spend moves to other sums of the rollups, before and after.

        The agent type changed, or the job failed or was cancelled, or no longer is.
        """
        snapshots = [(job, job.before, self.snapshot(job)) for job in self if job.before]
        moved = [(job, before, after) for job, before, after in snapshots if _place(before) != _place(after)]
        pks = [job.pk for job, _, _ in moved if job.pk]
        self._recorded = _sums_by_day(self.project, pks) if pks else {}
        return moved

    def recorded_sums(self, job: JobState) -> list[dict[str, Any]]:
        """The ledger's sums of a moved job by day, without this batch."""
        assert self._recorded is not None
        return self._recorded.get(job.pk or 0, [])

    def _values(self, job: JobState) -> tuple[object, ...]:
        return (
            *_state_values(job),
            *(self.agent_types.id_of(job.agent_type), job.has_deduction, job.has_call_report),
            self.finished_on(job),
        )

    def write(self) -> int:
        """Insert the new jobs and update the changed ones; return how many these are."""
        new, changed = _new_and_changed(self, self._values, key=lambda job: (job.run.pk, job.job_id))
        if new:
            _assign_ids(AgentJob, new)
            rows = [(job.pk, self.project.pk, job.run.pk, job.job_id, *self._values(job)) for job in new]
            bulk.insert(AgentJob, ("id", "project_id", "run_id", "job_id", *_JOB_COLUMNS), rows)
        changes = [(*self._values(job), job.pk) for job in changed]
        bulk.update(AgentJob, self.project.pk, _JOB_COLUMNS, changes)
        return len(new) + len(changed)


_USAGE_COLUMNS = ("has_deduction", "has_call_report")
_JOB_COLUMNS = (*_STATE_COLUMNS[1:], *_DERIVED_COLUMNS, "agent_type_id", *_USAGE_COLUMNS, "finished_on")


def _place(job: JobSnapshot) -> tuple[str, str | None]:
    """Which sums of the rollups include the spend of a job."""
    return job.agent_type, WASTE.get(job.status)


def _sums_by_day(project: Project, jobs: list[int]) -> dict[int, list[dict[str, Any]]]:
    """The ledger's sums of jobs: by job, a row a day."""
    rows = (
        CreditTransaction.objects.filter(project=project, job__in=jobs)
        .values("job_id", "billed_on")
        .annotate(
            cost=SPEND["cost_nanos"],
            input=SPEND["input_tokens"],
            output=SPEND["output_tokens"],
            lines=SPEND["transactions"],
            unpriced=UNPRICED,
        )
    )
    sums: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        sums.setdefault(row["job_id"], []).append(dict(row))
    return sums


def _new_and_changed(
    states: Iterable[Any], values: Callable[[Any], tuple[object, ...]], key: Callable[[Any], Any]
) -> tuple[list[Any], list[Any]]:
    """New and changed rows, each in the order in which every writer locks them."""
    new, changed = [], []
    for state in states:
        if state.pk is None:
            new.append(state)
        elif state.stored != values(state):
            changed.append(state)
    return sorted(new, key=key), sorted(changed, key=lambda state: state.pk)


def _assign_ids(model: Any, new: list[Any]) -> None:
    for state, pk in zip(new, bulk.next_ids(model, len(new)), strict=True):
        state.pk = pk
