"""Pipeline runs and their agent jobs."""

from django.db import models
from django.db.models import F, Q

from products.db.fields import CodePointCharField
from products.models.projects import AgentType, Project
from products.statuses import Status

SENDER_ID_LENGTH = 200


class Reported(models.Model):
    """What is known about a run or a job. It depends on which events were recorded, never on their order.

    The `reported_…` fields merge what events reported (worst status, earliest start, latest finish).
    `…_event_at` are the earliest and latest time of its deductions and job events. `status`, `started_at`
    and `finished_at` follow from these. Only `billing.ledger.recording` writes them.
    """

    reported_status = models.CharField(max_length=9, choices=Status, blank=True)
    reported_started_at = models.DateTimeField(null=True, blank=True)
    reported_finished_at = models.DateTimeField(null=True, blank=True)
    first_event_at = models.DateTimeField(null=True, blank=True)
    last_event_at = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=9, choices=Status)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class PipelineRun(Reported):
    """One execution of a pipeline in a project."""

    # `products.db.triggers` adds the foreign keys of large tables: immediate ones, which cost less.
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="runs", db_constraint=False, db_index=False
    )
    run_id = CodePointCharField("run ID", max_length=SENDER_ID_LENGTH, help_text="As reported by the sender.")
    reported_trigger = CodePointCharField(max_length=100, blank=True)
    job_count = models.PositiveIntegerField(default=0)
    running_jobs = models.PositiveIntegerField(default=0)
    failed_jobs = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = "pipeline run"
        constraints = [
            models.UniqueConstraint(fields=["project", "run_id"], name="run_once"),
            models.UniqueConstraint(fields=["project", "id"], name="run_in_project"),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="run_status"),
            models.CheckConstraint(
                condition=Q(reported_status__in=["", *Status.values]), name="run_reported_status"
            ),
            models.CheckConstraint(condition=~Q(run_id=""), name="run_named"),
            models.CheckConstraint(
                condition=Q(job_count__gte=F("running_jobs") + F("failed_jobs")), name="run_job_counts"
            ),
            models.CheckConstraint(
                condition=Q(finished_at=None) | ~Q(status=Status.RUNNING),
                name="run_finish_needs_finished_status",
            ),
        ]
        indexes = [models.Index(fields=["project", "-started_at", "run_id"], name="run_newest_first")]

    def __str__(self) -> str:
        return self.run_id

    @property
    def trigger(self) -> str:
        return self.reported_trigger or "api"


SUPERSEDED = Q(has_call_report=True, has_deduction=False)
"""Jobs whose calls are all booked on the jobs of other senders. They count nowhere."""


class AgentJob(Reported):
    """One agent's work within a run."""

    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="jobs", db_constraint=False, db_index=False
    )
    run = models.ForeignKey(
        PipelineRun, on_delete=models.PROTECT, related_name="jobs", db_constraint=False, db_index=False
    )
    job_id = CodePointCharField(
        "job ID", max_length=SENDER_ID_LENGTH, help_text="As reported; unique within its run."
    )
    agent_type = models.ForeignKey(
        AgentType, on_delete=models.PROTECT, related_name="jobs", db_constraint=False, db_index=False
    )
    has_deduction = models.BooleanField(default=False)
    has_call_report = models.BooleanField(
        default=False,
        help_text="Whether a sender reported a model call of this job with the call's ids. "
        "If the job has no deduction, all these calls are booked on the jobs of other senders.",
    )
    finished_on = models.DateField(
        null=True, blank=True, help_text="The day of the finish in the project's billing zone."
    )

    class Meta:
        verbose_name = "agent job"
        constraints = [
            models.UniqueConstraint(fields=["project", "run", "job_id"], name="job_once_in_run"),
            models.UniqueConstraint(fields=["project", "id"], name="job_in_project"),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="job_status"),
            models.CheckConstraint(
                condition=Q(reported_status__in=["", *Status.values]), name="job_reported_status"
            ),
            models.CheckConstraint(condition=~Q(job_id=""), name="job_named"),
            models.CheckConstraint(
                condition=Q(finished_at=None) | ~Q(status=Status.RUNNING),
                name="job_finish_needs_finished_status",
            ),
            models.CheckConstraint(
                condition=Q(finished_at=None, finished_on=None)
                | Q(finished_at__isnull=False, finished_on__isnull=False),
                name="job_finish_has_a_day",
            ),
        ]
        indexes = [
            models.Index(
                fields=["project", "last_event_at"],
                name="job_running",
                condition=Q(status=Status.RUNNING),
            )
        ]

    def __str__(self) -> str:
        return self.job_id
