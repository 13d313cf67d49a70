"""API tokens."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from products.models.projects import Project


class TokenQuerySet(models.QuerySet["ApiToken"]):
    def valid_at(self, now: datetime) -> Self:
        return self.filter(revoked_at=None).filter(Q(expires_at=None) | Q(expires_at__gt=now))


class ApiToken(models.Model):
    """A user's key to the API. Its text is shown once and stored only as a hash."""

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
        help_text="Limits the token to one product. Required for ingest tokens: their usage goes there.",
    )
    name = models.CharField(max_length=100, blank=True, help_text="What the token is for.")
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
                violation_error_message="An ingest token must name the product that its usage goes to.",
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"{self.scope} token"
