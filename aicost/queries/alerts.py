"""What was crossed in the present month, and the log of what was sent."""

from billing.alerts.thresholds import current_month
from billing.models.alerts import AlertDelivery, BudgetAlert
from products.models import Project

PAGE = 50


def standing(project: Project) -> dict[int, BudgetAlert]:
    """The present month's thresholds that are passed, by percent."""
    month = current_month(project)
    alerts = BudgetAlert.objects.filter(project=project, month=month, ended_at=None)
    return {alert.threshold: alert for alert in alerts}


def deliveries(project: Project, page: int) -> tuple[list[AlertDelivery], bool]:
    """A page of the log, newest first, and whether there are older ones."""
    log = AlertDelivery.objects.filter(project=project).select_related("alert").order_by("-created_at", "-pk")
    found = list(log[(page - 1) * PAGE : page * PAGE + 1])
    return found[:PAGE], len(found) > PAGE
