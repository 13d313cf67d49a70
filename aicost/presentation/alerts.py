"""The page of a product's alerts: thresholds, channels, and the log of deliveries."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from django.utils.safestring import SafeString

from aicost.formatting import html, text
from aicost.queries.alerts import AlertsPage
from billing import periods
from billing.models.alerts import AlertDelivery, AlertSettings, BudgetAlert
from products.models import Project

OVERDUE = timedelta(minutes=5)
"""A message untouched for longer than this says that nothing sends messages."""


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
    """Empty if it is another person's address and this person may not see it."""
    state: str
    word: str
    when: SafeString | str
    attempts: int
    note: SafeString | str
    act: str
    """The label of its button; empty if it has none."""


def page(
    project: Project, found: AlertsPage, user: Any, *, may_change: bool, number: int, now: datetime
) -> dict[str, Any]:
    """Page `number` of the deliveries, and the channels and thresholds above it."""
    zone = periods.zone(project.time_zone)
    return {
        "month_name": text.month(found.month),
        "has_limit": found.has_limit,
        "thresholds": _thresholds(found.settings.percents, found.passed, zone),
        "channels": [_email(found, may_change), _webhook(found.settings)],
        "deliveries": [_row(delivery, zone, user, may_change, now) for delivery in found.deliveries],
        "newer": number - 1 if number > 1 else None,
        "older": number + 1 if found.more else None,
        "may_change": may_change,
    }


def _thresholds(
    percents: Sequence[int], passed: dict[int, BudgetAlert], zone: ZoneInfo
) -> list[ThresholdRow]:
    return [_threshold(percent, passed.get(percent), zone) for percent in percents]


def _threshold(percent: int, alert: BudgetAlert | None, zone: ZoneInfo) -> ThresholdRow:
    if alert is None:
        return ThresholdRow(f"{percent}\u00a0%", False, "", "", "")
    return ThresholdRow(
        percent=f"{percent}\u00a0%",
        passed=True,
        when=html.moment(alert.crossed_at, zone),
        figures=f"at {text.money(alert.spent_nanos)} of {text.money(alert.limit_nanos)}",
        crossing=f"crossing {alert.crossing} of this month" if alert.crossing > 1 else "",
    )


def _email(found: AlertsPage, may_change: bool) -> ChannelRow:
    if not found.email_works:
        detail = "This server knows no mail server. Who runs it sets EMAIL_URL."
        return ChannelRow("email", "mail", "Email", "not configured", detail, False)
    addresses = found.recipients
    if not addresses:
        return ChannelRow("email", "mail", "Email", "off", "Nobody is told by email.", False)
    # Other people's addresses are for those who choose them.
    detail = ", ".join(addresses) if may_change else text.plural(len(addresses), "address", "addresses")
    return ChannelRow("email", "mail", "Email", "on", detail, True)


def _webhook(choice: AlertSettings) -> ChannelRow:
    if not choice.webhook_url:
        return ChannelRow("webhook", "webhook", "Webhook", "off", "No URL is set.", False)
    return ChannelRow("webhook", "webhook", "Webhook", "on", _host(choice.webhook_url), True)


def _host(url: str) -> str:
    """Only the host: the rest of a URL is often a secret."""
    return urlsplit(url).hostname or ""


_WORDS = {
    "pending": "queued",
    "retrying": "retrying",
    "sending": "sending",
    "sent": "sent",
    "failed": "given up",
    "dropped": "dropped",
}


def _row(delivery: AlertDelivery, zone: ZoneInfo, user: Any, may_change: bool, now: datetime) -> DeliveryRow:
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
        note=_note(delivery, state, zone, now),
        act=_act(state) if may_change else "",
    )


def _about(alert: BudgetAlert | None) -> str:
    if alert is None:
        return "Test"
    again = f", crossing {alert.crossing}" if alert.crossing > 1 else ""
    return f"{alert.threshold}\u00a0% of {text.month(alert.month)}{again}"


def _target(delivery: AlertDelivery, user: Any, may_change: bool) -> str:
    if delivery.channel == AlertDelivery.Channel.WEBHOOK:
        return _host(delivery.target)
    own = user.email.casefold() == delivery.target.casefold()
    return delivery.target if may_change or own else ""


def _note(delivery: AlertDelivery, state: str, zone: ZoneInfo, now: datetime) -> str:
    if state == "retrying":
        return f"{delivery.error} Next attempt: {text.instant(delivery.due_at, zone)}.".strip()
    if state == "pending" and delivery.due_at < now - OVERDUE:
        return "Nobody has sent it: send_alerts does not seem to run on this server."
    return delivery.error


def _act(state: str) -> str:
    if state == "sending":
        return ""
    return "Send now" if state in ("pending", "retrying") else "Send again"


def outcome(deliveries: Sequence[AlertDelivery]) -> tuple[bool, str]:
    """Whether all were sent, and what the person who asked for it reads."""
    states = Counter(delivery.state for delivery in deliveries)
    if not deliveries:
        return False, "There is nobody to send to: this channel is off or not configured."
    if states["sent"] == len(deliveries):
        return True, "Sent." if len(deliveries) == 1 else f"Sent to {len(deliveries)} addresses."
    wrong = next(
        (delivery.error for delivery in deliveries if delivery.error), "The rest is sent in a moment."
    )
    if states["sent"]:
        return False, f"{states['sent']} of {len(deliveries)} sent. {wrong}"
    return False, f"Not sent. {wrong}"
