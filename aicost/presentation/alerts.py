"""The page of a product's alerts: thresholds, channels and the log of deliveries."""

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
"""If a message waits longer than this, no sender seems to be running."""


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
    """Empty if it is another person's address, which this person may not see."""
    state: str
    state_label: str
    when: SafeString | str
    attempts: int
    note: SafeString | str
    action: str
    """The label of its button; "" if it has none."""


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
        detail = "No mail server is configured. Set EMAIL_URL on the server to send email."
        return ChannelRow("email", "mail", "Email", "not configured", detail, False)
    addresses = found.recipients
    if not addresses:
        return ChannelRow("email", "mail", "Email", "off", "No one is notified by email.", False)
    # Only those who can change the recipients may see their addresses.
    detail = ", ".join(addresses) if may_change else text.plural(len(addresses), "address", "addresses")
    return ChannelRow("email", "mail", "Email", "on", detail, True)


def _webhook(settings: AlertSettings) -> ChannelRow:
    if not settings.webhook_url:
        return ChannelRow("webhook", "webhook", "Webhook", "off", "No URL is set.", False)
    return ChannelRow("webhook", "webhook", "Webhook", "on", _host(settings.webhook_url), True)


def _host(url: str) -> str:
    """Only the host: the rest of a URL is often a secret."""
    return urlsplit(url).hostname or ""


State = AlertDelivery.State
RETRYING = "retrying"
"""A pending message that has been tried."""

_STATE_LABELS = {
    State.PENDING: "queued",
    RETRYING: "retrying",
    State.SENDING: "sending",
    State.SENT: "sent",
    State.FAILED: "failed",
    State.DROPPED: "dropped",
}


def _row(delivery: AlertDelivery, zone: ZoneInfo, user: Any, may_change: bool, now: datetime) -> DeliveryRow:
    state = RETRYING if delivery.state == State.PENDING and delivery.attempts else delivery.state
    return DeliveryRow(
        id=delivery.pk,
        about=_about(delivery.alert),
        channel=delivery.channel,
        target=_target(delivery, user, may_change),
        state=state,
        state_label=_STATE_LABELS[state],
        when=html.moment(delivery.sent_at or delivery.attempted_at or delivery.created_at, zone),
        attempts=delivery.attempts,
        note=_note(delivery, state, zone, now),
        action=_action(state) if may_change else "",
    )


def _about(alert: BudgetAlert | None) -> str:
    if alert is None:
        return "Test"
    crossing = f", crossing {alert.crossing}" if alert.crossing > 1 else ""
    return f"{alert.threshold}\u00a0% of {text.month(alert.month)}{crossing}"


def _target(delivery: AlertDelivery, user: Any, may_change: bool) -> str:
    if delivery.channel == AlertDelivery.Channel.WEBHOOK:
        return _host(delivery.target)
    own = user.email.casefold() == delivery.target.casefold()
    return delivery.target if may_change or own else ""


def _note(delivery: AlertDelivery, state: str, zone: ZoneInfo, now: datetime) -> str:
    if state == RETRYING:
        return f"{delivery.error} Next attempt: {text.instant(delivery.due_at, zone)}.".strip()
    if state == State.PENDING and delivery.due_at < now - OVERDUE:
        return "Not sent yet: send_alerts does not seem to be running on this server."
    return delivery.error


def _action(state: str) -> str:
    if state == State.SENDING:
        return ""
    return "Send now" if state in (State.PENDING, RETRYING) else "Send again"


def outcome(deliveries: Sequence[AlertDelivery]) -> tuple[bool, str]:
    """Whether all were sent, and the message for the person who sent them."""
    states = Counter(delivery.state for delivery in deliveries)
    if not deliveries:
        return False, "There are no recipients: this channel is off or not configured."
    if states[State.SENT] == len(deliveries):
        return True, "Sent." if len(deliveries) == 1 else f"Sent to {len(deliveries)} addresses."
    problem = next(
        (delivery.error for delivery in deliveries if delivery.error), "The rest will be sent shortly."
    )
    if sent := states[State.SENT]:
        return False, f"{sent} of {len(deliveries)} sent. {problem}"
    return False, f"Not sent. {problem}"
