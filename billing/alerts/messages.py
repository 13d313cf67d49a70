"""The text of an alert, for mail and webhooks."""

import re
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import dateformat

from billing import money, periods
from billing.models.alerts import AlertDelivery, BudgetAlert
from products.models import Project

_MAX_NAME_LENGTH = 80
# Control characters end a line or a header; direction marks would reorder the words around a name.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


@dataclass(frozen=True)
class Message:
    """An alert in words."""

    product: str
    headline: str
    figures: str
    advice: str
    counted: str
    state: money.BudgetState
    filled: int
    """Percent of the progress bar, at most 100."""
    dashboard_url: str
    alerts_url: str

    @property
    def subject(self) -> str:
        return f"{self.product}: {self.headline}"

    @property
    def line(self) -> str:
        return " ".join(part for part in (f"{self.subject}.", self.figures, self.dashboard_url) if part)


def message(delivery: AlertDelivery) -> Message:
    project, alert = delivery.project, delivery.alert
    urls = {"dashboard_url": _url("ai-cost", project), "alerts_url": _url("alerts", project)}
    return _of_alert(project, alert, urls) if alert else _of_test(project, urls)


def _of_alert(project: Project, alert: BudgetAlert, urls: dict[str, str]) -> Message:
    spent, limit = alert.spent_nanos, alert.limit_nanos
    left = limit - spent
    rest = f"{money.text(left)} left" if left > 0 else f"{money.text(-left)} over" if left else "nothing left"
    at = dateformat.format(alert.crossed_at.astimezone(periods.zone(project.time_zone)), "j F Y, H:i")
    return Message(
        product=one_line(project.name),
        headline=f"{alert.threshold} % of the {dateformat.format(alert.month, 'F')} budget is spent",
        figures=f"{money.text(spent)} of {money.text(limit)} ({money.cut_percent(spent, limit)} %), {rest}.",
        advice=_advice(alert),
        counted=f"Counted on {at} ({project.time_zone}).",
        state=money.budget_state(spent, limit),
        filled=min(max(spent * 100 // limit, 1), 100),
        **urls,
    )


def _advice(alert: BudgetAlert) -> str:
    reset = dateformat.format(periods.shift(alert.month, 1), "j F")
    if alert.spent_nanos >= alert.limit_nanos:
        return f"Pause or slow down the costliest agents, or raise the limit. A new month begins on {reset}."
    return f"Review high-cost agents and top pipelines: the budget has to last until {reset}."


def _of_test(project: Project, urls: dict[str, str]) -> Message:
    return Message(
        product=one_line(project.name),
        headline="a test of the budget alerts",
        figures="",
        advice="Nothing has happened: somebody pressed “Send a test”, and this message arrived.",
        counted="",
        state="green",
        filled=0,
        **urls,
    )


def payload(delivery: AlertDelivery) -> dict[str, Any]:
    """The body of a webhook's request, the same for every attempt."""
    project, alert = delivery.project, delivery.alert
    words = message(delivery)
    body: dict[str, Any] = {
        "text": _for_chats(words.line),
        "id": str(delivery.pk),
        "type": "budget.threshold" if alert else "budget.test",
        "project": {"id": str(project.pk), "name": project.name},
    }
    if words.dashboard_url:
        body["url"] = words.dashboard_url
    return body | _figures(alert) if alert else body


def _figures(alert: BudgetAlert) -> dict[str, Any]:
    return {
        "month": periods.month_text(alert.month),
        "threshold": alert.threshold,
        "crossing": alert.crossing,
        "spent": money.dollars(alert.spent_nanos),
        "limit": money.dollars(alert.limit_nanos),
        "percent": float(money.cut_percent(alert.spent_nanos, alert.limit_nanos)),
    }


def _for_chats(text: str) -> str:
    """Escape the characters that Slack and similar chats interpret, as in `<!channel>` and `<url|text>`."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def one_line(name: str) -> str:
    """A name on one line, without direction marks, cut to a reasonable length."""
    text = " ".join(_UNPRINTABLE.sub(" ", name).split())
    return text if len(text) <= _MAX_NAME_LENGTH else f"{text[: _MAX_NAME_LENGTH - 1]}…"


def _url(name: str, project: Project) -> str:
    """The absolute URL, or "" if SITE_URL is not set."""
    return settings.SITE_URL + reverse(name, args=[project.pk]) if settings.SITE_URL else ""
