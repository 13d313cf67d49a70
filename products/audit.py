"""The audit log: who did what, when, from where. Entries are added and, once old, dropped; never changed."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, NoReturn

from django.conf import settings
from django.db import models, transaction
from django.db.models import F
from django.utils import timezone

from products.wording import shown

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
    ALERTS_CHANGED = "alerts-changed", "alerts changed"
    PRICE_SET = "price-set", "own price set"
    PRICE_REMOVED = "price-removed", "own price removed"
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
"""What may be of a person and of no product: whoever joins a product brings it into the product's log."""


class AuditLogIsAppendOnly(TypeError):
    """Something would change or delete an entry."""


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise AuditLogIsAppendOnly("Entries of the audit log are neither changed nor deleted.")


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    update = delete = bulk_update = update_or_create = _refuse


class AuditEntry(models.Model):
    """Written by `note` and `tally` alone; products without usage may be deleted, their entries stay."""

    at = models.DateTimeField()
    kind = models.CharField(max_length=20, choices=Kind)
    who = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )
    who_name = models.CharField(
        max_length=150, blank=True, help_text="Their name at that time; empty for nobody who had signed in."
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
    address = models.CharField(max_length=45, blank=True, help_text="As the server saw it.")
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


_origin: ContextVar[str] = ContextVar("origin", default="")


@contextmanager
def coming_from(address: str) -> Iterator[None]:
    """What is noted meanwhile came from there: the acts themselves need not know of requests."""
    before = _origin.set(address)
    try:
        yield
    finally:
        _origin.reset(before)


def note(kind: Kind, *, by: Any, at: datetime | None = None, **told: Any) -> None:
    """Write down that `by` (None: nobody who had signed in) did it; told are `about`, `project`, `detail`.

    No secret may be among the details. In a transaction the entry stands or falls with the act.
    """
    _entry(kind, by, at or timezone.now(), **told).save()


@transaction.atomic
def tally(kind: Kind, *, by: Any, whose: str, **told: Any) -> None:
    """As `note`, for what somebody may do without end: one entry an hour for each `whose`, which counts."""
    now = timezone.now()
    once = f"{kind.value}:{whose}:{now:%Y-%m-%dT%H}"
    if not _count(once, now):
        first = _entry(kind, by, now, **told)
        first.once, first.times = once, 0
        AuditEntry.objects.bulk_create([first], ignore_conflicts=True)
        _count(once, now)


def _count(once: str, now: datetime) -> int:
    return AuditEntry._base_manager.filter(once=once).update(times=F("times") + 1, last_at=now)


def _entry(
    kind: Kind, by: Any, at: datetime, *, about: Any = None, project: Any = None, detail: str = ""
) -> AuditEntry:
    return AuditEntry(
        at=at,
        kind=kind,
        who_id=by and by.pk,
        who_name=by.get_username() if by else "",
        about_id=about and about.pk,
        project_id=project and project.pk,
        address=_origin.get(),
        detail=shown(detail, DETAIL_LENGTH),
    )


def prune(before: datetime, batch: int = 5_000) -> int:
    """Drop what is older, in short transactions; how many that were."""
    old = AuditEntry._base_manager.filter(at__lt=before).order_by("at")
    dropped = 0
    while keys := list(old.values_list("pk", flat=True)[:batch]):
        dropped += AuditEntry._base_manager.filter(pk__in=keys).delete()[0]
    return dropped


_UNCHANGEABLE = ("at", "kind", "who_name", "address", "detail")
TABLE = "products_auditentry"
EVENTS = f"UPDATE OF {', '.join(_UNCHANGEABLE)}"
REFUSAL = "the audit log is append-only"
