"""Budget alerts: a product's settings, the thresholds that were crossed and the messages sent."""

import uuid

from django.db import models
from django.db.models import F, Q

from products.models import Project

DEFAULT_THRESHOLDS = "80,100"


class AlertSettings(models.Model):
    """Only `billing.alerts.channels.change` writes it. A product without a row has the defaults."""

    project = models.OneToOneField(
        Project, on_delete=models.CASCADE, primary_key=True, related_name="alert_settings"
    )
    thresholds = models.CharField(
        max_length=60,
        default=DEFAULT_THRESHOLDS,
        help_text="Whole percents in ascending order, separated by commas.",
    )
    email_people = models.BooleanField(default=True, help_text="Send email to the owner and the managers.")
    email_more = models.TextField(blank=True, help_text="Further addresses, one per line.")
    webhook_url = models.TextField(blank=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"alerts of {self.project}"

    @property
    def percents(self) -> list[int]:
        return percents(self.thresholds)

    @property
    def more_addresses(self) -> list[str]:
        return self.email_more.split()


def percents(thresholds: str) -> list[int]:
    """Parse the stored text, such as `80,100`."""
    return [int(percent) for percent in thresholds.split(",")]


class BudgetAlert(models.Model):
    """A threshold that was crossed. The alert lasts until spend falls below it; then it can be crossed again.

    Only `billing.alerts.crossings` writes these, under the project's lock.
    """

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="budget_alerts", db_index=False
    )
    month = models.DateField(help_text="Its first day.")
    threshold = models.PositiveSmallIntegerField(help_text="Percent of the limit.")
    crossing = models.PositiveIntegerField(
        help_text="The number of this crossing of the threshold in this month, from 1."
    )
    crossed_at = models.DateTimeField()
    spent_nanos = models.BigIntegerField()
    limit_nanos = models.BigIntegerField()
    notified = models.BooleanField(
        help_text="False if the message about a higher threshold covers this one, too."
    )
    ended_at = models.DateTimeField(null=True, help_text="When spend fell below the threshold again.")

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["project", "month", "threshold", "crossing"], name="budget_alert_once"
            ),
            models.UniqueConstraint(
                fields=["project", "month", "threshold"],
                condition=Q(ended_at=None),
                name="budget_alert_one_stands",
            ),
            models.CheckConstraint(
                condition=Q(threshold__gte=1, crossing__gte=1, limit_nanos__gt=0), name="budget_alert_sound"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project}: {self.threshold} % of {self.month:%Y-%m}, crossing {self.crossing}"


class AlertDelivery(models.Model):
    """One message to one address or webhook. The table is both the outbox and the log that people read.

    Every attempt carries the id, so that a receiver can recognise repetitions.
    """

    class Channel(models.TextChoices):
        EMAIL = "email"
        WEBHOOK = "webhook"

    class State(models.TextChoices):
        PENDING = "pending"
        SENDING = "sending"
        SENT = "sent"
        FAILED = "failed"
        DROPPED = "dropped"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="alert_deliveries", db_index=False
    )
    alert = models.ForeignKey(
        BudgetAlert,
        on_delete=models.CASCADE,
        null=True,
        related_name="deliveries",
        help_text="None for a test message.",
    )
    channel = models.CharField(max_length=7, choices=Channel)
    target = models.TextField(help_text="An email address or a webhook's URL.")
    state = models.CharField(max_length=7, choices=State, default=State.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(
        help_text="When to send it. While it is being sent: when another process may take it over."
    )
    attempted_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    retries_left = models.PositiveSmallIntegerField()
    error = models.CharField(max_length=200, blank=True)

    class Meta:
        default_permissions = ("view",)
        verbose_name_plural = "alert deliveries"
        constraints = [
            models.CheckConstraint(condition=Q(channel__in=["email", "webhook"]), name="delivery_channel"),
            models.CheckConstraint(
                condition=Q(state__in=["pending", "sending", "sent", "failed", "dropped"]),
                name="delivery_state",
            ),
        ]
        indexes = [
            models.Index(F("project"), F("created_at").desc(), F("id").desc(), name="delivery_newest"),
            models.Index(
                F("state"), F("due_at"), name="delivery_not_sent", condition=~Q(state__in=["sent", "dropped"])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.id}: {self.state}"
