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
from products.db.same_project import OfProject


def validate_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(f"“{name}” is not a time zone of the IANA database, such as Europe/Berlin.")


def new_version() -> int:
    """Drawn, not counted: neither a restored backup nor a transaction that failed brings one back."""
    return secrets.randbits(63)


class ProjectQuerySet(models.QuerySet["Project"]):
    def renew_version(self) -> int:
        """Invalidate the cached pages and answers of these projects."""
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

    def renew_version(self) -> None:
        """Call it in every transaction that changes what the dashboard shows."""
        Project.objects.filter(pk=self.pk).renew_version()

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
        self.project.renew_version()

    def use_everywhere(self) -> None:
        """Every project names and colours its agent type of this slug so."""
        with transaction.atomic():
            alike = AgentType.objects.filter(slug=self.slug)
            alike.update(label=self.label, color=self.color)
            Project.objects.filter(agent_types__in=alike).renew_version()
