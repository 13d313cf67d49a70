"""A product's alerts page: settings, passed thresholds, and the log of deliveries."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.http import Http404

from billing import clock
from billing.alerts import channels
from billing.budgets import limits
from billing.models.alerts import AlertDelivery, AlertSettings, BudgetAlert
from products.models import Project

PAGE = 50


@dataclass(frozen=True)
class AlertsPage:
    month: date
    has_limit: bool
    settings: AlertSettings
    email_works: bool
    recipients: list[str]
    """Email addresses. Empty if the server can't send email."""
    passed: dict[int, BudgetAlert]
    """The thresholds passed in the current month, by percent."""
    deliveries: list[AlertDelivery]
    more: bool
    """Whether there are older deliveries."""


def alerts_page(project: Project, number: int) -> AlertsPage:
    """The alerts page, with page `number` (from 1) of the delivery log, newest first."""
    chosen = channels.chosen(project)
    email_works = channels.email_works()
    month = clock.this_month(project)
    found, more = deliveries(project, number)
    return AlertsPage(
        month=month,
        has_limit=project.pk in limits.limits_now([project]),
        settings=chosen,
        email_works=email_works,
        recipients=channels.recipients(project, chosen) if email_works else [],
        passed=_passed(project, month),
        deliveries=found,
        more=more,
    )


def _passed(project: Project, month: date) -> dict[int, BudgetAlert]:
    alerts = BudgetAlert.objects.filter(project=project, month=month, ended_at=None)
    return {alert.threshold: alert for alert in alerts}


def deliveries(project: Project, page: int) -> tuple[list[AlertDelivery], bool]:
    """A page of the delivery log, newest first, and whether there are older deliveries."""
    log = AlertDelivery.objects.filter(project=project).select_related("alert").order_by("-created_at", "-pk")
    found = list(log[(page - 1) * PAGE : page * PAGE + 1])
    return found[:PAGE], len(found) > PAGE


def delivery_of(project: Project, delivery_id: UUID) -> AlertDelivery:
    """Raises `Http404` if the product has no such delivery."""
    delivery = AlertDelivery.objects.filter(project=project, pk=delivery_id).first()
    if delivery is None:
        raise Http404("No such delivery.")
    return delivery
