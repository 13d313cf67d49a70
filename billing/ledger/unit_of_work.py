"""The door's view of a project's runs, jobs and agent types: looked up once, changed, written back."""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, F, Q, Sum

from billing import periods
from billing.db import bulk
from billing.events.run_state import JobBooking, Known, KnownJob, KnownRun
from billing.events.usage_event import Kind, UsageEvent
from billing.models import CreditTransaction
from billing.rollups.definitions import UNPRICED, WASTE
from products import agent_types as naming
from products.models import AgentJob, AgentType, PipelineRun, Project

LATTICE = (
    "id",
    "reported_status",
    "reported_started_at",
    "reported_finished_at",
    "first_event_at",
    "last_event_at",
)
DERIVED = ("status", "started_at", "finished_at")


class AgentTypes:
    """The project's agent types by slug; new ones are admitted up to the limit, in order of slug."""

    def __init__(self, project: Project, told: Iterable[str]) -> None:
        rows = AgentType.objects.filter(project=project).values_list("slug", "pk")
        self.ids: dict[str, int] = dict(rows)
        names = {name: naming.slug_of(name) for name in set(told)}
        wanted = sorted({*filter(None, names.values()), naming.OTHER} - self.ids.keys())
        admitted = self._admit(project, wanted)
        self._slug_of = {pk: slug for slug, pk in self.ids.items()}
        self._slugs = {name: self._admitted_slug(slug) for name, slug in names.items()}
        self._beyond = {name for name, slug in names.items() if slug and slug not in self.ids}
        assert not admitted or self.ids.keys() >= set(admitted)

    def _admit(self, project: Project, wanted: list[str]) -> list[str]:
        room = max(naming.LIMIT - len(self.ids), 0)
        admitted = wanted[:room]
        if naming.OTHER in wanted and naming.OTHER not in admitted:
            admitted.append(naming.OTHER)
        if admitted:
            made = AgentType.objects.bulk_create(_new_agent_type(project, slug) for slug in admitted)
            self.ids.update((agent_type.slug, agent_type.pk) for agent_type in made)
        return admitted

    def _admitted_slug(self, slug: str) -> str:
        return slug if not slug or slug in self.ids else naming.OTHER

    def admitted(self, name: str) -> str:
        """The slug that a told name is booked under; "" where none was told."""
        return self._slugs[name]

    def is_beyond_limit(self, name: str) -> bool:
        return name in self._beyond

    def id_of(self, slug: str) -> int:
        return self.ids[slug or naming.OTHER]

    def slug_of(self, pk: int) -> str:
        return self._slug_of[pk]


def _new_agent_type(project: Project, slug: str) -> AgentType:
    label, color = naming.label_and_color(slug)
    return AgentType(project=project, slug=slug, label=label, color=color)


class Runs:
    """The runs that a batch touches."""

    def __init__(self, project: Project, events: Iterable[UsageEvent]) -> None:
        self.project = project
        ids = sorted({event.run_id for event in events})
        columns = ("run_id", "reported_trigger", "job_count", "running_jobs", "failed_jobs", *LATTICE)
        rows = bulk.find(PipelineRun, project.pk, ("run_id",), [(one,) for one in ids], columns)
        self._runs = {row[0]: KnownRun(*row) for row in rows}
        for run in self._runs.values():
            run.stored = _run_columns(run)

    def of(self, event: UsageEvent) -> tuple[KnownRun, bool]:
        """The run that an event names, and whether it is new."""
        run = self._runs.get(event.run_id)
        if run is not None:
            return run, False
        run = self._runs[event.run_id] = KnownRun(event.run_id)
        return run, True

    def existing(self) -> list[KnownRun]:
        return [run for run in self._runs.values() if run.pk is not None]

    def write(self) -> int:
        """How many are new or changed."""
        new, changed = _split(self._runs.values(), _run_columns, key=lambda run: run.run_id)
        if new:
            _number(PipelineRun, new)
            rows = [(run.pk, self.project.pk, run.run_id, *_run_columns(run)) for run in new]
            bulk.insert(PipelineRun, ("id", "project_id", "run_id", *_RUN_COLUMNS), rows)
        changes = [(*_run_columns(run), run.pk) for run in changed]
        bulk.update(PipelineRun, self.project.pk, _RUN_COLUMNS, changes)
        return len(new) + len(changed)


_RUN_COLUMNS = (*LATTICE[1:], *DERIVED, "reported_trigger", "job_count", "running_jobs", "failed_jobs")


def _run_columns(run: KnownRun) -> tuple[object, ...]:
    return (*_lattice_columns(run), run.reported_trigger, run.job_count, run.running_jobs, run.failed_jobs)


def _lattice_columns(known: Known) -> tuple[object, ...]:
    return (
        *(known.reported_status, known.reported_started_at, known.reported_finished_at),
        *(known.first_event_at, known.last_event_at),
        *(known.status, known.started_at, known.finished_at),
    )


class Jobs:
    """The jobs that a batch touches, by run and job id."""

    def __init__(
        self,
        project: Project,
        runs: Runs,
        events: Iterable[UsageEvent],
        agent_types: AgentTypes,
        zone: ZoneInfo,
    ) -> None:
        self.project = project
        self.agent_types = agent_types
        self.zone = zone
        run_of = {run.pk: run for run in runs.existing()}
        pk_of = {run.run_id: run.pk for run in run_of.values() if run.pk}
        wanted = sorted({(pk_of[event.run_id], event.job_id) for event in events if event.run_id in pk_of})
        self._jobs: dict[tuple[str, str], KnownJob] = {}
        self._booked: dict[int, list[dict[str, Any]]] | None = None
        columns = ("run_id", "job_id", "agent_type_id", "has_deduction", *LATTICE)
        found = bulk.find(AgentJob, project.pk, ("run_id", "job_id"), wanted, columns)
        for run_pk, job_id, agent_type, has_deduction, *lattice in found:
            slug = agent_types.slug_of(agent_type)
            job = KnownJob(
                run_of[run_pk], job_id, "" if slug == naming.OTHER else slug, has_deduction, *lattice
            )
            job.stored = self._columns(job)
            job.before = self.booking(job)
            self._jobs[job.run.run_id, job_id] = job

    def of(self, run: KnownRun, event: UsageEvent) -> tuple[KnownJob, bool]:
        """The job of the run that an event names, and whether it is new."""
        job = self._jobs.get((run.run_id, event.job_id))
        if job is not None:
            return job, False
        job = self._jobs[run.run_id, event.job_id] = KnownJob(run, event.job_id)
        return job, True

    def __iter__(self) -> Iterator[KnownJob]:
        return iter(self._jobs.values())

    def finished_on(self, job: KnownJob) -> date | None:
        finished_at = job.finished_at
        return finished_at and periods.day_of(finished_at, self.zone)

    def booking(self, job: KnownJob) -> JobBooking:
        """How the rollups should hold the job now."""
        return JobBooking(job.agent_type or naming.OTHER, job.status, self.finished_on(job))

    def moved(self) -> list[tuple[KnownJob, JobBooking, JobBooking]]:
        """Jobs that have become another agent's, or come to nothing; how they were held, and are to be."""
        bookings = [(job, job.before, self.booking(job)) for job in self if job.before]
        moved = [(job, before, after) for job, before, after in bookings if _place(before) != _place(after)]
        pks = [job.pk for job, _, _ in moved if job.pk]
        self._booked = _sums_by_day(self.project, pks) if pks else {}
        return moved

    def booked_sums(self, job: KnownJob) -> list[dict[str, Any]]:
        """What the ledger holds on a moved job, before the batch's rows go in, by day."""
        assert self._booked is not None
        return self._booked.get(job.pk or 0, [])

    def _columns(self, job: KnownJob) -> tuple[object, ...]:
        return (
            *_lattice_columns(job),
            *(self.agent_types.id_of(job.agent_type), job.has_deduction, self.finished_on(job)),
        )

    def write(self) -> int:
        """How many are new or changed."""
        new, changed = _split(self, self._columns, key=lambda job: (job.run.pk, job.job_id))
        if new:
            _number(AgentJob, new)
            rows = [(job.pk, self.project.pk, job.run.pk, job.job_id, *self._columns(job)) for job in new]
            bulk.insert(AgentJob, ("id", "project_id", "run_id", "job_id", *_JOB_COLUMNS), rows)
        changes = [(*self._columns(job), job.pk) for job in changed]
        bulk.update(AgentJob, self.project.pk, _JOB_COLUMNS, changes)
        return len(new) + len(changed)


_JOB_COLUMNS = (*LATTICE[1:], *DERIVED, "agent_type_id", "has_deduction", "finished_on")


def _place(booking: JobBooking) -> tuple[str, str | None]:
    """Where the rollups hold what is spent on a job."""
    return booking.agent_type, WASTE.get(booking.status)


def _sums_by_day(project: Project, jobs: list[int]) -> dict[int, list[dict[str, Any]]]:
    """What the ledger holds on jobs, by job and day."""
    deduction = Q(kind=Kind.DEDUCTION)
    rows = (
        CreditTransaction.objects.filter(project=project, job__in=jobs)
        .values("job_id", "billed_on")
        .annotate(
            spent=Sum("amount_nanos", filter=deduction, default=0),
            refunded=Sum("amount_nanos", filter=~deduction, default=0),
            input=Sum(F("input_tokens") + F("cache_read_tokens") + F("cache_write_tokens")),
            output=Sum("output_tokens"),
            transactions=Count("pk"),
            unpriced=UNPRICED,
        )
    )
    sums: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        sums.setdefault(row["job_id"], []).append(dict(row))
    return sums


def _split(known: Iterable[Any], columns: Any, key: Any) -> tuple[list[Any], list[Any]]:
    """New rows and changed ones, each in the order in which they are locked."""
    new, changed = [], []
    for one in known:
        if one.pk is None:
            new.append(one)
        elif one.stored != columns(one):
            changed.append(one)
    return sorted(new, key=key), sorted(changed, key=lambda one: one.pk)


def _number(model: Any, new: list[Any]) -> None:
    for one, pk in zip(new, bulk.next_ids(model, len(new)), strict=True):
        one.pk = pk
