"""The present day and month in a project's billing zone, and the month that a request names."""

from datetime import date

from django.core.exceptions import ValidationError
from django.utils import timezone

from billing import periods
from products.models import Project


def today(project: Project) -> date:
    return periods.day_of(timezone.now(), periods.zone(project.time_zone))


def this_month(project: Project) -> date:
    return periods.month_of(today(project))


def month_from(project: Project, text: str | None) -> date:
    """The month that `YYYY-MM` names, the present one for None; raises `ValidationError` naming `month`."""
    present = this_month(project)
    if text is None:
        return present
    try:
        month = periods.parse_month(text)
    except ValueError:
        raise ValidationError({"month": "must be written YYYY-MM"}) from None
    if not periods.EARLIEST_MONTH <= month <= present:
        raise ValidationError({"month": f"must be from 2000-01 to {periods.month_text(present)}"})
    return month
