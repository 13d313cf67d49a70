"""The page of a product's alerts: thresholds, channels, and the log of deliveries."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.safestring import SafeString

from aicost import queries
from aicost.formatting import html
from aicost.formatting import text as formats
from aicost.queries import alerts as alert_queries
from billing import periods
from billing.alerts import channels
from billing.budgets import limits
from billing.models.alerts import AlertDelivery, AlertSettings, BudgetAlert
from products.models import Project

OVERDUE = timedelta(minutes=5)
"""After which an untouched message says that nobody sends."""


@dataclass(frozen=True)
class ThresholdRow:
    percent: str
    passed: bool
    when: SafeString | str
    figures: str
    crossing: str


@dataclass(frozen=True)
class ChannelRow:
    name: str
    icon: str
    title: str
    state: str
    detail: str
    usable: bool


@dataclass(frozen=True)
class DeliveryRow:
    id: UUID
    about: str
    channel: str
    target: str
    """"" where it is somebody else's, and not for this person to see."""
    state: str
    word: str
    when: SafeString | str
    attempts: int
    note: SafeString | str
    act: str
    """What its button says; "" where it has none."""


def page(project: Project, user: Any, may_change: bool, page: int) -> dict[str, Any]:
    choice = channels.chosen(project)
    zone = periods.zone(project.time_zone)
    log, more = alert_queries.deliveries(project, page)
    return {
        "month_name": formats.month(queries.this_month(project)),
        "has_limit": project.pk in limits.limits_now([project]),
        "thresholds": _thresholds(choice.percents, alert_queries.standing(project), zone),
        "channels": [_email(project, choice, may_change), _webhook(choice)],
        "deliveries": [_row(one, zone, user, may_change) for one in log],
        "newer": page - 1 if page > 1 else None,
        "older": page + 1 if more else None,
        "may_change": may_change,
    }


def _thresholds(
    percents: Sequence[int], standing: dict[int, BudgetAlert], zone: ZoneInfo
) -> list[ThresholdRow]:
    return [_threshold(percent, standing.get(percent), zone) for percent in percents]


def _threshold(percent: int, alert: BudgetAlert | None, zone: ZoneInfo) -> ThresholdRow:
    if alert is None:
        return ThresholdRow(f"{percent}\u00a0%", False, "", "", "")
    return ThresholdRow(
        percent=f"{percent}\u00a0%",
        passed=True,
        when=html.moment(alert.crossed_at, zone),
        figures=f"at {formats.money(alert.spent_nanos)} of {formats.money(alert.limit_nanos)}",
        crossing=f"crossing {alert.crossing} of this month" if alert.crossing > 1 else "",
    )


def _email(project: Project, choice: AlertSettings, may_change: bool) -> ChannelRow:
    if not channels.email_works():
        detail = "This server knows no mail server. Who runs it sets EMAIL_URL."
        return ChannelRow("email", "mail", "Email", "not configured", detail, False)
    addresses = channels.recipients(project, choice)
    if not addresses:
        return ChannelRow("email", "mail", "Email", "off", "Nobody is told by email.", False)
    # Other people's addresses are for those who choose them.
    detail = ", ".join(addresses) if may_change else formats.plural(len(addresses), "address", "addresses")
    return ChannelRow("email", "mail", "Email", "on", detail, True)


def _webhook(choice: AlertSettings) -> ChannelRow:
    if not choice.webhook_url:
        return ChannelRow("webhook", "webhook", "Webhook", "off", "No URL is set.", False)
    return ChannelRow("webhook", "webhook", "Webhook", "on", _host(choice.webhook_url), True)


def _host(url: str) -> str:
    """The rest of a URL is often a secret."""
    return urlsplit(url).hostname or ""


_WORDS = {
    "pending": "queued",
    "retrying": "retrying",
    "sending": "sending",
    "sent": "sent",
    "failed": "given up",
    "dropped": "dropped",
}


def _row(delivery: AlertDelivery, zone: ZoneInfo, user: Any, may_change: bool) -> DeliveryRow:
    state = "retrying" if delivery.state == "pending" and delivery.attempts else delivery.state
    return DeliveryRow(
        id=delivery.pk,
        about=_about(delivery.alert),
        channel=delivery.channel,
        target=_target(delivery, user, may_change),
        state=state,
        word=_WORDS[state],
        when=html.moment(delivery.sent_at or delivery.attempted_at or delivery.created_at, zone),
        attempts=delivery.attempts,
        note=_note(delivery, state, zone),
        act=_act(state) if may_change else "",
    )


def _about(alert: BudgetAlert | None) -> str:
    if alert is None:
        return "Test"
    again = f", crossing {alert.crossing}" if alert.crossing > 1 else ""
    return f"{alert.threshold}\u00a0% of {formats.month(alert.month)}{again}"


def _target(delivery: AlertDelivery, user: Any, may_change: bool) -> str:
    if delivery.channel == AlertDelivery.Channel.WEBHOOK:
        return _host(delivery.target)
    own = user.email.casefold() == delivery.target.casefold()
    return delivery.target if may_change or own else ""


def _note(delivery: AlertDelivery, state: str, zone: ZoneInfo) -> str:
    if state == "retrying":
        return f"{delivery.error} Next attempt: {formats.instant(delivery.due_at, zone)}.".strip()
    if state == "pending" and delivery.due_at < timezone.now() - OVERDUE:
        return "Nobody has sent it: send_alerts does not seem to run on this server."
    return delivery.error


def _act(state: str) -> str:
    if state == "sending":
        return ""
    return "Send now" if state in ("pending", "retrying") else "Send again"


def told(deliveries: Sequence[AlertDelivery]) -> tuple[bool, str]:
    """Whether all was well, and what the person reads who asked for these to be sent."""
    became = Counter(delivery.state for delivery in deliveries)
    if not deliveries:
        return False, "There is nobody to send to: this channel is off or not configured."
    if became["sent"] == len(deliveries):
        return True, "Sent." if len(deliveries) == 1 else f"Sent to {len(deliveries)} addresses."
    wrong = next((one.error for one in deliveries if one.error), "The rest is sent in a moment.")
    if became["sent"]:
        return False, f"{became['sent']} of {len(deliveries)} sent. {wrong}"
    return False, f"Not sent. {wrong}"
