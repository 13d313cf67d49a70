"""Entries of the audit log: appended, pruned when old, never changed."""

from typing import Any, NoReturn

from django.conf import settings
from django.db import models

DETAIL_LENGTH = 300


class Kind(models.TextChoices):
    SIGNED_IN = "signed-in", "signed in"
    SIGN_IN_FAILED = "sign-in-failed", "sign-in failed"
    LOCKED_OUT = "locked-out", "locked out"
    SIGNED_OUT = "signed-out", "signed out"
    PASSWORD_CHANGED = "password-changed", "password changed"
    SESSIONS_ENDED = "sessions-ended", "other sessions ended"
    DENIED = "denied", "denied"
    BUDGET_CHANGED = "budget-changed", "budget changed"
    POLICY_CHANGED = "policy-changed", "policy changed"
    LOOKALIKES_DECIDED = "lookalikes-decided", "double count settled"
    ALERTS_CHANGED = "alerts-changed", "alerts changed"
    PRICE_SET = "price-set", "price override set"
    PRICE_REMOVED = "price-removed", "price override removed"
    MEMBER_ADDED = "member-added", "member added"
    ROLE_CHANGED = "role-changed", "role changed"
    MEMBER_REMOVED = "member-removed", "member removed"
    OWNER_CHANGED = "owner-changed", "owner changed"
    TOKEN_MADE = "token-made", "token made"
    TOKEN_REVOKED = "token-revoked", "token revoked"
    ARCHIVED = "archived", "product archived"
    RESTORED = "restored", "product restored"


SIGN_INS = (
    *(Kind.SIGNED_IN, Kind.SIGN_IN_FAILED, Kind.LOCKED_OUT, Kind.SIGNED_OUT),
    *(Kind.PASSWORD_CHANGED, Kind.SESSIONS_ENDED),
)
PERSONAL = (*SIGN_INS, Kind.TOKEN_MADE, Kind.TOKEN_REVOKED)
"""Kinds that concern a person rather than a product. A product's log includes those of its members."""


class AuditLogIsAppendOnly(TypeError):
    """Code tried to change or delete an entry."""


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise AuditLogIsAppendOnly("Audit log entries can't be changed or deleted.")


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    update = delete = bulk_update = update_or_create = _refuse


class AuditEntry(models.Model):
    """Something that a user did. Only `products.audit` adds entries; they outlive a deleted project."""

    at = models.DateTimeField()
    kind = models.CharField(max_length=20, choices=Kind)
    who = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )
    who_name = models.CharField(
        max_length=150, blank=True, help_text="The username at that time; empty if nobody was signed in."
    )
    about = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )
    project = models.ForeignKey(
        "products.Project",
        on_delete=models.DO_NOTHING,
        null=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
        verbose_name="product",
    )
    address = models.CharField(
        max_length=45, blank=True, help_text="The client address as the server saw it."
    )
    detail = models.CharField(max_length=DETAIL_LENGTH, blank=True)
    times = models.PositiveIntegerField(default=1)
    last_at = models.DateTimeField(null=True)
    once = models.CharField(max_length=200, null=True, unique=True)  # noqa: DJ001  # NULL is not unique

    objects = AuditQuerySet.as_manager()

    class Meta:
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"
        default_permissions = ("view",)
        constraints = [models.CheckConstraint(condition=models.Q(kind__in=Kind.values), name="audit_kind")]
        indexes = [
            models.Index(fields=["project", "-at"], name="audit_of_product"),
            models.Index(fields=["about", "-at"], name="audit_of_person"),
            models.Index(fields=["at"], name="audit_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.who_name or 'nobody'}: {self.kind}"

    delete = _refuse

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            _refuse()
        super().save(*args, **kwargs)
