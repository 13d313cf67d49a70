"""Projects, their people, and what ran in them."""

import secrets
from datetime import datetime
from typing import Any, Self
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone

from products import agent_types, colors
from products.audit import AuditEntry  # noqa: F401  # found from here
from products.fields import CodePointCharField
from products.same_project import OfProject, SameProjectKey

TOLD_ID_LENGTH = 200


def validate_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(f"“{name}” is not a time zone of the IANA database, such as Europe/Berlin.")


class Status(models.TextChoices):
    """What a run or a job may be."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def finished(self) -> bool:
        return self is not Status.RUNNING


def new_version() -> int:
    """Drawn, not counted: neither a restored backup nor a transaction that failed brings one back."""
    return secrets.randbits(63)


class ProjectQuerySet(models.QuerySet["Project"]):
    def renew(self) -> int:
        """What is kept of these projects' pages and answers holds no longer."""
        return self.update(version=new_version())

    def live(self) -> Self:
        return self.filter(archived_at=None)

    def owned_by(self, user: Any) -> Self:
        return self.filter(owner=user)

    def visible_to(self, user: Any, key: int | None = None) -> Self:
        """What a person may read: projects owned or joined; everything for an active superuser.

        `key`: only the project with that id, which is then named to all that is asked.
        """
        one = {} if key is None else {"pk": key}
        if not user.is_active:
            return self.none()
        if user.is_superuser:
            return self.filter(**one)
        joined = Membership.objects.filter(user=user, **({} if key is None else {"project": key}))
        return self.filter(Q(owner=user) | Q(pk__in=joined.values("project")), **one)


class Project(models.Model):
    """What the pages call a product."""

    name = CodePointCharField(max_length=200)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="owned_projects"
    )
    time_zone = models.CharField(
        "billing zone",
        max_length=64,
        default="UTC",
        validators=[validate_time_zone],
        help_text="Days and months are counted in this zone. Fixed once the product has usage.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    first_usage_at = models.DateTimeField(
        null=True, editable=False, help_text="When the first usage was recorded; it fixes the billing zone."
    )
    version = models.BigIntegerField(
        default=new_version,
        editable=False,
        help_text="Another one after each change of what the dashboard shows: usage, limit, names, colours.",
    )

    objects = ProjectQuerySet.as_manager()

    class Meta:
        verbose_name = "product"
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name

    @transaction.atomic
    def save(self, *args: Any, **kwargs: Any) -> None:
        adding = self._state.adding
        self.version = new_version()
        super().save(*args, **kwargs)
        if adding:
            AgentType.objects.bulk_create(
                AgentType(project=self, slug=slug, label=label, color=color)
                for slug, (label, color) in agent_types.KNOWN.items()
            )

    def renew(self) -> None:
        """For whoever changes what the dashboard shows of it, in the same transaction."""
        Project.objects.filter(pk=self.pk).renew()

    def clean(self) -> None:
        if self.pk and self.first_usage_at:
            before = Project.objects.values_list("time_zone", flat=True).get(pk=self.pk)
            if before != self.time_zone:
                raise ValidationError(
                    {"time_zone": f"The billing zone is {before} and fixed, because the product has usage."}
                )


class Membership(OfProject):
    """A person who may read a project that somebody else owns; a manager may change things, too."""

    class Role(models.TextChoices):
        MANAGER = "manager"
        VIEWER = "viewer"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=7, choices=Role)
    joined_at = models.DateTimeField(
        null=True,
        default=timezone.now,
        editable=False,
        help_text="Unknown of members from before it was kept.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "user"],
                name="membership_once",
                violation_error_message="This person is a member already.",
            ),
            models.CheckConstraint(condition=Q(role__in=["manager", "viewer"]), name="membership_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"


class AgentType(OfProject):
    """A kind of agent in a project, as the pages name and colour it. `slug` is what usage says."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="agent_types")
    slug = CodePointCharField(max_length=agent_types.SLUG_LENGTH)
    label = CodePointCharField(max_length=agent_types.SLUG_LENGTH)
    color = models.CharField("colour", max_length=10, choices=colors.CHOICES)

    class Meta:
        ordering = ["label", "slug"]
        constraints = [
            models.UniqueConstraint(fields=["project", "slug"], name="agent_type_slug"),
            # What a job's and a rollup's composite foreign key needs.
            models.UniqueConstraint(fields=["project", "id"], name="agent_type_in_project"),
            models.CheckConstraint(condition=~Q(slug="") & ~Q(label=""), name="agent_type_named"),
            models.CheckConstraint(condition=Q(color__in=list(colors.LIGHT)), name="agent_type_color"),
        ]

    def __str__(self) -> str:
        return self.label

    @transaction.atomic
    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        self.project.renew()

    def use_everywhere(self) -> None:
        """Every project names and colours its agent type of this slug so."""
        with transaction.atomic():
            alike = AgentType.objects.filter(slug=self.slug)
            alike.update(label=self.label, color=self.color)
            Project.objects.filter(agent_types__in=alike).renew()


class Told(models.Model):
    """What is known of a run or a job: a function of the set of its recorded events, never of their order.

    The `told_…` fields are lattices (worst status, earliest start, latest finish), `…_event_at` the
    earliest and latest instant of its deductions and job events; `status`, `started_at` and
    `finished_at` follow from them. Only `billing.ledger` writes them.
    """

    told_status = models.CharField(max_length=9, choices=Status, blank=True)
    told_started_at = models.DateTimeField(null=True, blank=True)
    told_finished_at = models.DateTimeField(null=True, blank=True)
    first_event_at = models.DateTimeField(null=True, blank=True)
    last_event_at = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=9, choices=Status)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class PipelineRun(Told):
    """One execution in a project."""

    # Foreign keys of what is written by the thousand stand in `products.guards`, checked at once.
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="runs", db_constraint=False, db_index=False
    )
    run_id = CodePointCharField("run ID", max_length=TOLD_ID_LENGTH, help_text="As told by the sender.")
    told_trigger = CodePointCharField(max_length=100, blank=True)
    job_count = models.PositiveIntegerField(default=0)
    running_jobs = models.PositiveIntegerField(default=0)
    failed_jobs = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = "pipeline run"
        constraints = [
            models.UniqueConstraint(fields=["project", "run_id"], name="run_once"),
            models.UniqueConstraint(fields=["project", "id"], name="run_in_project"),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="run_status"),
            models.CheckConstraint(condition=Q(told_status__in=["", *Status.values]), name="run_told_status"),
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
        return self.told_trigger or "api"


class AgentJob(Told):
    """One agent's work within a run."""

    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="jobs", db_constraint=False, db_index=False
    )
    run = SameProjectKey(
        PipelineRun, on_delete=models.PROTECT, related_name="jobs", db_constraint=False, db_index=False
    )
    job_id = CodePointCharField(
        "job ID", max_length=TOLD_ID_LENGTH, help_text="As told; unique within its run."
    )
    agent_type = SameProjectKey(
        AgentType, on_delete=models.PROTECT, related_name="jobs", db_constraint=False, db_index=False
    )
    has_deduction = models.BooleanField(default=False)
    finished_on = models.DateField(
        null=True, blank=True, help_text="The day of the finish in the project's billing zone."
    )

    class Meta:
        verbose_name = "agent job"
        constraints = [
            models.UniqueConstraint(fields=["project", "run", "job_id"], name="job_once_in_run"),
            models.UniqueConstraint(fields=["project", "id"], name="job_in_project"),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="job_status"),
            models.CheckConstraint(condition=Q(told_status__in=["", *Status.values]), name="job_told_status"),
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


class TokenQuerySet(models.QuerySet["ApiToken"]):
    def usable(self, now: datetime) -> Self:
        return self.filter(revoked_at=None).filter(Q(expires_at=None) | Q(expires_at__gt=now))


class ApiToken(models.Model):
    """A key to the API that belongs to a user; shown once, stored only as a hash."""

    class Scope(models.TextChoices):
        READ = "read"
        WRITE = "write"
        INGEST = "ingest"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    project = models.ForeignKey(
        Project,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="api_tokens",
        help_text="Narrows the token to one product. An ingest token needs one: its usage goes there.",
    )
    name = models.CharField(max_length=100, blank=True, help_text="What it is for.")
    scope = models.CharField(max_length=6, choices=Scope, default=Scope.READ)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = TokenQuerySet.as_manager()

    class Meta:
        verbose_name = "API token"
        constraints = [
            models.CheckConstraint(condition=Q(scope__in=["read", "write", "ingest"]), name="token_scope"),
            models.CheckConstraint(
                condition=~Q(scope="ingest") | Q(project__isnull=False),
                name="token_ingest_names_a_project",
                violation_error_message="An ingest token names the product that its usage goes to.",
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"{self.scope} token"
