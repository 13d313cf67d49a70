"""Every URL of the product by the name of its pattern: how to build it, and who can use it.

`tests/test_tenancy.py` fails if a pattern is in none of these tables.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.contrib import admin
from django.urls import get_resolver, reverse
from django.urls.resolvers import URLPattern, URLResolver

from billing.alerts import outbox
from billing.models import PriceOverride
from products.models import Project


@dataclass(frozen=True)
class Form:
    """What a POST sends, the status for people who may send it, and the other arguments of its URL."""

    data: dict[str, str]
    status: int = 302
    args: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)


PAGES: dict[str, tuple[str, ...]] = {
    "product": (),
    "ai-cost": (),
    "ai-cost-month": (),
    "ai-cost-daily": (),
    "ai-cost-tabs": (),
    "export-ledger": (),
    "export": ("recent", "csv"),
    "budget": (),
    "alerts": (),
    "revenue": (),
    "export-revenue": ("csv",),
    "connect": (),
    "connect-arrived": (),
    "runs": (),
    "run": ("run-1",),
    "export-runs": ("csv",),
    "export-run": ("jobs", "csv"),
    "export-limits": ("csv",),
    "members": (),
}
"""GET, for everyone who can view the product; the arguments of the URL apart from the product."""

QUERIES = {"export-run": "?run=run-1"}
"""The query string of a URL that needs one."""

OF_MANAGERS: dict[str, tuple[str, ...]] = {"prices": ()}
"""GET, for the product's owner and its managers."""

OVERSIGHT: dict[str, tuple[str, ...]] = {"audit": (), "export-audit": ()}
"""GET, for the product's owner."""

CHANGES: dict[str, Form] = {
    "budget": Form({"limit": "250", "note": ""}),
    "budget-limit": Form({"limit": "250", "note": ""}, status=200, headers={"HX-Request": "true"}),
    "budget-policy": Form({"policy": "warn"}),
    "alerts": Form({"thresholds": "50", "email_more": "", "webhook_url": ""}),
    "alert-secret": Form({}, status=200),
    "alert-test": Form({}, args=("webhook",)),
    "alert-send-again": Form({}, args=("a delivery",)),
    "connect": Form({"newest": "0"}, status=200),
    "connect-double-count": Form({"sender_a": "a", "sender_b": "b", "decision": "same_call"}),
    "prices": Form(
        {"model": "ours", "factor": "", "starts_on": "2026-01-01", "input_rate": "1", "output_rate": "2"}
    ),
    "prices-missing": Form({}),
    "price-remove": Form({}, args=("an override",)),
    "members": Form({"person": "stranger", "role": "viewer"}),
    "member-role": Form({"role": "manager"}, args=("a viewer",)),
    "member-remove": Form({}, args=("a viewer",)),
}
"""POST, for the product's owner and its managers."""

CHANGE_NOTHING = ("alert-secret", "prices-missing")
"""Those of `CHANGES` that only show a secret, or find nothing to change."""

OWN: dict[str, tuple[str, ...]] = {
    "portfolio": (),
    "portfolio-products": (),
    "export-portfolio": ("csv",),
    "tokens": (),
    "security": (),
    "password": (),
    "api": (),
}
"""For everyone who is signed in; they show the user's own data."""

OWN_CHANGES: dict[str, Form] = {
    "tokens": Form({"name": "mine", "scope": "read", "lifetime": "30"}, status=200),
    "revoke-token": Form({}, args=("a token",)),
    "end-sessions": Form({}),
}

INTAKE = {
    "usage": "/api/v1/usage",
    "traces": "/v1/traces",
    "logs": "/v1/logs",
    "litellm": "/api/v1/litellm",
}
"""Endpoints that accept usage, with a token."""

CALLS = ("trpc", "jsonrpc")
"""Endpoints for procedures; `tests/test_authentication.py` has the table of who may call which."""

OPEN = ("sign-in", "sign-out", "healthz", "readyz", "metrics")
"""For anonymous people and machines."""

REDIRECTS = ("admin-password",)
"""Redirect to another of these."""

EXPORTS = ("agents", "trend", "runs", "recent", "daily", "unpriced", "waste", "changes")


def names(resolver: URLResolver | None = None, space: str = "") -> Iterator[str]:
    """The names of all patterns. A pattern without a name is called by its text."""
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLPattern):
            yield space + (pattern.name or f"unnamed {pattern.pattern}")
        else:
            yield from names(pattern, space + (f"{pattern.namespace}:" if pattern.namespace else ""))


def page_of(project_id: Any, name: str) -> str:
    args = {**PAGES, **OF_MANAGERS, **OVERSIGHT}[name]
    return reverse(name, args=[project_id, *args]) + QUERIES.get(name, "")


def change_of(project: Project, name: str, project_id: Any = None) -> str:
    """`project_id` puts another product in the URL of the same object."""
    args = [OBJECTS[arg](project) if arg in OBJECTS else arg for arg in CHANGES[name].args]
    return reverse(name, args=[project_id or project.pk, *args])


def _delivery(project: Project) -> str:
    [delivery] = outbox.queue_test(project, "webhook")
    return str(delivery.pk)


def _viewer(project: Project) -> int:
    return project.memberships.get(role="viewer").user_id


def _override(project: Project) -> int:
    rates = {"input_rate": 1, "output_rate": 2}
    found, _ = PriceOverride.objects.get_or_create(
        project=project, model="mine", starts_on=date(2026, 1, 1), defaults=rates
    )
    return found.pk


OBJECTS: dict[str, Callable[[Project], Any]] = {
    "a delivery": _delivery,
    "a viewer": _viewer,
    "an override": _override,
}


def of_the_admin() -> dict[str, str]:
    """Every URL of the admin, with existing objects if there are any."""
    admin_names = (name for name in names() if name.startswith("admin:") and "unnamed" not in name)
    return {name: reverse(name, args=_admin_args(name)) for name in admin_names}


def _admin_args(name: str) -> list[Any]:
    if name == "admin:app_list":
        return ["products"]
    if name == "admin:view_on_site":
        return [1, 1]
    for model in admin.site._registry:
        page = re.fullmatch(f"admin:{model._meta.app_label}_{model._meta.model_name}_(.+)", name)
        if page and page[1] in ("change", "delete", "history", "password_change"):
            instance = model._default_manager.first()
            return [instance.pk if instance else 1]
    return []
