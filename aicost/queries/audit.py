"""The parts of the audit log that a product's owner and each user may read."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from products.models import Membership, Project
from products.models.audit import PERSONAL, SIGN_INS, AuditEntry, Kind

PAGE = 50


def of_product(project: Project, kind: str = "") -> QuerySet[AuditEntry]:
    """Newest first: entries about the product, and personal entries about its owner and current members."""
    members = Membership.objects.filter(project=project).values("user")
    about_them = Q(about=project.owner_id) | Q(about__in=members)
    entries = AuditEntry.objects.filter(Q(project=project) | Q(project=None, kind__in=PERSONAL) & about_them)
    return _newest_first(entries.filter(kind=kind) if kind else entries)


def sign_ins_of(user: Any) -> QuerySet[AuditEntry]:
    """Sign-in entries of the user's account, newest first."""
    return _newest_first(AuditEntry.objects.filter(about=user, kind__in=SIGN_INS))


def _newest_first(entries: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
    return entries.select_related("about").order_by("-at", "-pk")


def page(entries: QuerySet[AuditEntry], number: int) -> tuple[list[AuditEntry], bool]:
    """Page `number` (from 1) of the entries, and whether there are older ones."""
    found = list(entries[(number - 1) * PAGE : number * PAGE + 1])
    return found[:PAGE], len(found) > PAGE


def kind_from(text: str | None) -> str:
    """The kind to filter by, "" for all kinds. Raises `ValidationError` naming `kind` if it is unknown."""
    if text and text not in Kind.values:
        raise ValidationError({"kind": "must be one of the kinds that the page offers"})
    return text or ""
