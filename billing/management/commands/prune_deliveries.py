from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from billing.alerts import outbox


class Command(BaseCommand):
    help = "Delete sent, failed and dropped alert messages older than AUDIT_RETENTION_DAYS days."

    def handle(self, **_: Any) -> str:
        deleted = outbox.prune(timezone.now() - timedelta(days=settings.AUDIT_RETENTION_DAYS))
        return f"{deleted} deleted"
