"""The page that shows how to send usage to a product, and whether any has arrived."""

from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.urls import reverse

from aicost.formatting import html, text
from aicost.presentation.connect import setups
from aicost.presentation.connect.arrivals import what_arrived
from aicost.presentation.connect.setups import Machine, Target
from aicost.presentation.tokens import NewToken
from aicost.queries import Arrivals
from billing import periods
from products.forms import ALREADY_ISSUED
from products.models import ApiToken, Project


def page(
    project: Project,
    site: str,
    *,
    manages: bool,
    newest_token: int,
    newest_usage: datetime | None,
    arrivals: Arrivals,
    made: tuple[ApiToken, str] | None,
    now: datetime,
) -> dict[str, Any]:
    """`site` is the address at which the person reached this server; `made` is a new token and its text."""
    site = site.rstrip("/")
    target = Target(site, project.pk, made[1] if made else setups.PLACEHOLDER)
    return {
        "made": made and NewToken(str(made[0]), made[1]),
        "manages": manages,
        "newest": newest_token,
        "made_already": ALREADY_ISSUED,
        "placeholder": setups.PLACEHOLDER,
        "setups": setups.setups(target, Machine.current() if manages else Machine(), now=now),
        "address": site + reverse("product", args=[project.pk]),
        "credits_per_dollar": text.count(settings.CREDITS_PER_DOLLAR),
        "what_arrived": what_arrived(arrivals),
        **arrival(project, newest_usage, arrivals),
    }


def arrival(project: Project, newest_usage: datetime | None, arrivals: Arrivals) -> dict[str, Any]:
    """When the first usage arrived, the time of the newest deduction, and what was not understood."""
    zone = periods.zone(project.time_zone)
    refused = arrivals.received - arrivals.understood
    return {
        "refused": refused,
        "refused_reports": text.plural(refused, "report"),
        "most_refused": next(iter(what_arrived(arrivals).kinds), None),
        "first_usage": project.first_usage_at and html.moment(project.first_usage_at, zone),
        "newest_usage": newest_usage and html.moment(newest_usage, zone),
    }


def token_name(today: date) -> str:
    return f"Connect, {text.day(today)}"
