"""Projects, their members and their agent types."""

import secrets
from typing import Any, Self
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from products import agent_types, colors
from products.db.fields import CodePointCharField


def validate_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(f"“{name}” is not a time zone of the IANA database. Europe/Berlin is one.")


def new_version() -> int:
    """A random version. A counter could repeat one after a restored backup or a rolled-back transaction."""
    return secrets.randbits(63)


class ProjectQuerySet(models.QuerySet["Project"]):
    def renew_version(self) -> int:
        """Invalidate the cached pages and answers of these projects."""
        return self.update(version=new_version())

    def unarchived(self) -> Self:
        return self.filter(archived_at=None)

    def owned_by(self, user: Any) -> Self:
        return self.filter(owner=user)

    def visible_to(self, user: Any, key: int | None = None) -> Self:
        """Projects that the user may read: owned or joined; all for an active superuser.

        With `key`, only the project with that id; every part of the query then names it.
        """
        by_key = {} if key is None else {"pk": key}
        if not user.is_active:
            return self.none()
        if user.is_superuser:
            return self.filter(**by_key)
        joined = Membership.objects.filter(user=user, **({} if key is None else {"project": key}))
        return self.filter(Q(owner=user) | Q(pk__in=joined.values("project")), **by_key)


class Project(models.Model):
    """A project; the pages call it a product."""

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
        null=True,
        editable=False,
        help_text="When the first usage was recorded. The billing zone is fixed since then.",
    )
    has_call_ids = models.BooleanField(
        default=False, editable=False, help_text="Whether a sender has named a model call by its ids."
    )
    has_lookalikes = models.BooleanField(
        default=False,
        editable=False,
        help_text="Whether two senders have reported calls that may be the same, without a common id.",
    )
    has_missing_factors = models.BooleanField(
        default=False,
        editable=False,
        help_text="Whether a cost has ever lacked a price factor that was reported.",
    )
    version = models.BigIntegerField(
        default=new_version,
        editable=False,
        help_text="Changes whenever the dashboard's contents do: usage, limit, names, colours.",
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

    def renew_version(self) -> None:
        """Call it in every transaction that changes what the dashboard shows."""
        Project.objects.filter(pk=self.pk).renew_version()

    def clean(self) -> None:
        if self.pk and self.first_usage_at:
            before = Project.objects.values_list("time_zone", flat=True).get(pk=self.pk)
            if before != self.time_zone:
                raise ValidationError(
                    {"time_zone": f"The billing zone is fixed at {before} because the product has usage."}
                )


class Membership(models.Model):
    """A user who may read a project that someone else owns; a manager may also change it."""

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
        help_text="Unknown for members who joined before this was recorded.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "user"],
                name="membership_once",
                violation_error_message="This person is already a member.",
            ),
            models.CheckConstraint(condition=Q(role__in=["manager", "viewer"]), name="membership_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"


class AgentType(models.Model):
    """A kind of agent in a project, with its label and colour. Usage events name it by `slug`."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="agent_types")
    slug = CodePointCharField(max_length=agent_types.SLUG_LENGTH)
    label = CodePointCharField(max_length=agent_types.SLUG_LENGTH)
    color = models.CharField("colour", max_length=10, choices=colors.CHOICES)

    class Meta:
        ordering = ["label", "slug"]
        constraints = [
            models.UniqueConstraint(fields=["project", "slug"], name="agent_type_slug"),
            # For the composite foreign keys of jobs and rollups.
            models.UniqueConstraint(fields=["project", "id"], name="agent_type_in_project"),
            models.CheckConstraint(condition=~Q(slug="") & ~Q(label=""), name="agent_type_named"),
            models.CheckConstraint(condition=Q(color__in=list(colors.LIGHT)), name="agent_type_color"),
        ]

    def __str__(self) -> str:
        return self.label

    @transaction.atomic
    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        self.project.renew_version()

    def apply_to_all_projects(self) -> None:
        """Give the agent type with this slug the same label and colour in every project."""
        with transaction.atomic():
            alike = AgentType.objects.filter(slug=self.slug)
            alike.update(label=self.label, color=self.color)
            Project.objects.filter(agent_types__in=alike).renew_version()
