"""Calls that may have been counted twice, and what owners and managers say about them."""

from django.conf import settings
from django.db import models

from billing.events.usage_event import ID_LENGTH, TEXT_LENGTH
from products.db.fields import CodePointCharField
from products.models import Project


class Lookalike(models.Model):
    """Two reports that may be of one call and share no id. Only `billing.ledger.calls.lookalikes` writes it.

    A pair is deleted once its reports are of one call. The project is locked while rows are inserted, so the
    database need not check the foreign key of each row.
    """

    pk = models.CompositePrimaryKey("project", "outer", "inner")
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    outer = CodePointCharField(
        max_length=ID_LENGTH + 20, help_text="The event ID of the report that lasts longer."
    )
    inner = CodePointCharField(max_length=ID_LENGTH + 20)
    sender_a = CodePointCharField(max_length=TEXT_LENGTH, help_text="The lesser of the two senders.")
    sender_b = CodePointCharField(max_length=TEXT_LENGTH)
    margin = models.BigIntegerField(help_text="By how many microseconds the outer report lasts longer.")
    day = models.DateField()
    nanos = models.BigIntegerField(help_text="The amount of the cheaper report.")

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["project", "inner"], name="lookalike_inner"),
            models.Index(fields=["project", "sender_a", "sender_b", "day"], name="lookalike_senders"),
        ]

    def __str__(self) -> str:
        return f"{self.outer}, {self.inner}"


class LookalikeDecision(models.Model):
    """What an owner or manager says of two senders. Only `billing.lookalike_decisions` writes it."""

    class Decision(models.TextChoices):
        SAME_CALL = "same_call", "the same calls"
        DIFFERENT_CALLS = "different_calls", "different calls"

    pk = models.CompositePrimaryKey("project", "sender_a", "sender_b")
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="lookalike_decisions", db_index=False
    )
    sender_a = CodePointCharField(max_length=TEXT_LENGTH, help_text="The lesser of the two senders.")
    sender_b = CodePointCharField(max_length=TEXT_LENGTH)
    decision = models.CharField(max_length=15, choices=Decision)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )
    decided_at = models.DateTimeField()

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.sender_a}, {self.sender_b}: {self.decision}"
