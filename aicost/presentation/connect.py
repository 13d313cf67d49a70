"""The page of a product that says how usage gets in, and whether any has."""

from typing import Any

from django.conf import settings
from django.urls import reverse

from aicost import queries
from aicost.formatting import html
from aicost.formatting import text as formats
from aicost.presentation import setups
from aicost.presentation.setups import Machine, Target
from aicost.presentation.tokens import MadeToken
from billing import periods
from products import tokens
from products.access import may_change
from products.forms import ALREADY_ISSUED
from products.models import ApiToken, Project


def page(user: Any, project: Project, site: str, made: tuple[ApiToken, str] | None) -> dict[str, Any]:
    """`site` is the address under which the person reached us."""
    site = site.rstrip("/")
    manages = may_change(user, project)
    target = Target(site, project.pk, made[1] if made else setups.PLACEHOLDER)
    return {
        "made": made and MadeToken(str(made[0]), made[1]),
        "manages": manages,
        "newest": tokens.newest(user) if manages else 0,
        "made_already": ALREADY_ISSUED,
        "placeholder": setups.PLACEHOLDER,
        "setups": setups.setups(target, Machine.ours() if manages else Machine()),
        "address": site + reverse("product", args=[project.pk]),
        "credits_per_dollar": formats.count(settings.CREDITS_PER_DOLLAR),
        **arrival(project),
    }


def arrival(project: Project) -> dict[str, Any]:
    zone = periods.zone(project.time_zone)
    newest = queries.newest(project) if project.first_usage_at else None
    return {
        "first_usage": project.first_usage_at and html.moment(project.first_usage_at, zone),
        "newest_usage": newest and html.moment(newest, zone),
    }


def token_name(project: Project) -> str:
    return f"Connect, {formats.day(queries.today(project))}"
