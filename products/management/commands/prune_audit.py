from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from products import audit


class Command(BaseCommand):
    help = "Drop entries of the audit log that are older than AUDIT_RETENTION_DAYS."

    def handle(self, **_: Any) -> str:
        dropped = audit.prune(timezone.now() - timedelta(days=settings.AUDIT_RETENTION_DAYS))
        return f"{dropped} dropped"
