"""Budget limits, their history, and reservations."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from products.db.fields import CodePointCharField
from products.models import Project


class BillingSetting(models.Model):
    """A text value per project and key. Only `billing.budgets.limits.set_limit` writes budget limits."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="billing_settings", db_index=False
    )
    key = CodePointCharField(max_length=100)
    value = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "key"], name="billing_setting_once")]

    def __str__(self) -> str:
        return f"{self.key} = {self.value}"


class BudgetChange(models.Model):
    """A change of a project's monthly limit or policy: by whom, when, from what to what. None: no limit."""

    class Policy(models.TextChoices):
        DENY = "deny", "deny"
        WARN = "warn", "only warn"

    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="budget_changes", db_index=False
    )
    changed_at = models.DateTimeField()
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="budget_changes"
    )
    old_limit_nanos = models.BigIntegerField(null=True)
    new_limit_nanos = models.BigIntegerField(null=True)
    policy = models.CharField(
        max_length=4,
        choices=Policy,
        blank=True,
        help_text="The new policy; empty if the policy did not change.",
    )
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-changed_at", "-pk"]
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=(Q(old_limit_nanos=None) | Q(old_limit_nanos__gt=0))
                & (Q(new_limit_nanos=None) | Q(new_limit_nanos__gt=0)),
                name="budget_change_limits_positive",
            )
        ]
        indexes = [models.Index(fields=["project", "-changed_at"], name="budget_change_newest")]

    def __str__(self) -> str:
        return f"{self.project}: {self.old_limit_nanos} → {self.new_limit_nanos}"


class BudgetReservation(models.Model):
    """An estimate that counts against the budget until its usage arrives or it expires."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="budget_reservations", db_index=False
    )
    reservation_id = CodePointCharField("reservation ID", max_length=200)
    estimate_nanos = models.BigIntegerField(help_text="Nano-dollars (10⁻⁹ USD).")
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["project", "reservation_id"], name="reservation_once"),
            models.CheckConstraint(
                condition=Q(estimate_nanos__gt=0, estimate_nanos__lte=10**15), name="reservation_estimate"
            ),
        ]
        indexes = [models.Index(fields=["project", "expires_at"], name="reservation_standing")]

    def __str__(self) -> str:
        return self.reservation_id
