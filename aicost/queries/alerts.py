"""What was crossed in the present month, and the log of what was sent."""

from django.core.exceptions import ValidationError

from billing.alerts.models import AlertDelivery, BudgetAlert
from billing.alerts.standings import present_month
from products.models import Project

PAGE = 50


def standing(project: Project) -> dict[int, BudgetAlert]:
    """The present month's thresholds that are passed, by percent."""
    month = present_month(project)
    alerts = BudgetAlert.objects.filter(project=project, month=month, ended_at=None)
    return {alert.threshold: alert for alert in alerts}


def deliveries(project: Project, page: int) -> tuple[list[AlertDelivery], bool]:
    """A page of the log, newest first, and whether there are older ones."""
    log = AlertDelivery.objects.filter(project=project).select_related("alert").order_by("-created_at", "-pk")
    found = list(log[(page - 1) * PAGE : page * PAGE + 1])
    return found[:PAGE], len(found) > PAGE


def page_from(text: str | None) -> int:
    """Raises `ValidationError` naming `page` for anything but a plain number from 1."""
    if text is None:
        return 1
    if not (text.isascii() and text.isdecimal() and not text.startswith("0") and len(text) <= 6):
        raise ValidationError({"page": "must be a number from 1"})
    return int(text)
