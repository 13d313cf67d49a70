"""Every address of the product by the name of its pattern: how it is built, and whom it is for.

`tests/test_tenancy.py` fails for a pattern whose name is in none of these.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.contrib import admin
from django.urls import get_resolver, reverse
from django.urls.resolvers import URLPattern, URLResolver

from billing.alerts import outbox
from products.models import Project


@dataclass(frozen=True)
class Form:
    """What a POST sends, what is answered who may, and what its address needs besides the product."""

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
"""A GET, for everybody who sees the product; what the address needs besides it."""

QUERIES = {"export-run": "?run=run-1"}
"""What an address names behind its question mark."""

OVERSIGHT: dict[str, tuple[str, ...]] = {"audit": (), "export-audit": ()}
"""A GET, for the product's owner."""

CHANGES: dict[str, Form] = {
    "budget": Form({"limit": "250", "note": ""}),
    "budget-limit": Form({"limit": "250", "note": ""}, status=200, headers={"HX-Request": "true"}),
    "budget-policy": Form({"policy": "warn"}),
    "alerts": Form({"thresholds": "50", "email_more": "", "webhook_url": ""}),
    "alert-secret": Form({}, status=200),
    "alert-test": Form({}, args=("webhook",)),
    "alert-send-again": Form({}, args=("a delivery",)),
    "connect": Form({"newest": "0"}, status=200),
    "members": Form({"person": "stranger", "role": "viewer"}),
    "member-role": Form({"role": "manager"}, args=("a viewer",)),
    "member-remove": Form({}, args=("a viewer",)),
}
"""A POST, for the product's owner and its managers."""

OWN: dict[str, tuple[str, ...]] = {
    "portfolio": (),
    "portfolio-products": (),
    "export-portfolio": ("csv",),
    "tokens": (),
    "security": (),
    "password": (),
    "api": (),
}
"""For whoever is signed in, showing what is theirs."""

OWN_CHANGES: dict[str, Form] = {
    "tokens": Form({"name": "mine", "scope": "read", "lifetime": "30"}, status=200),
    "revoke-token": Form({}, args=("a token",)),
    "end-sessions": Form({}),
}

DOORS = {"usage": "/api/v1/usage", "traces": "/v1/traces", "litellm": "/api/v1/litellm"}
"""Usage comes in, by tokens."""

CALLS = ("trpc", "jsonrpc")
"""Procedures are called; who may call which is the table of `tests/test_authentication.py`."""

OPEN = ("sign-in", "sign-out", "healthz", "readyz", "metrics")
"""For people and machines that nobody knows yet."""

AWAY = ("admin-password",)
"""Leads to another of these."""

EXPORTS = ("agents", "trend", "runs", "recent", "daily", "unpriced", "waste", "changes")


def names(resolver: URLResolver | None = None, space: str = "") -> Iterator[str]:
    """Of all patterns; one without a name goes by its text."""
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLPattern):
            yield space + (pattern.name or f"unnamed {pattern.pattern}")
        else:
            yield from names(pattern, space + (f"{pattern.namespace}:" if pattern.namespace else ""))


def page_of(project_id: Any, name: str) -> str:
    args = PAGES[name] if name in PAGES else OVERSIGHT[name]
    return reverse(name, args=[project_id, *args]) + QUERIES.get(name, "")


def change_of(project: Project, name: str, project_id: Any = None) -> str:
    """`project_id` names another product, for the very same thing."""
    args = [THINGS[arg](project) if arg in THINGS else arg for arg in CHANGES[name].args]
    return reverse(name, args=[project_id or project.pk, *args])


def _delivery(project: Project) -> str:
    [delivery] = outbox.queue_test(project, "webhook")
    return str(delivery.pk)


def _viewer(project: Project) -> int:
    return project.memberships.get(role="viewer").user_id


THINGS: dict[str, Callable[[Project], Any]] = {"a delivery": _delivery, "a viewer": _viewer}


def of_the_admin() -> dict[str, str]:
    """Each address of the admin, of objects that exist where there are any."""
    ours = (name for name in names() if name.startswith("admin:") and "unnamed" not in name)
    return {name: reverse(name, args=_admin_args(name)) for name in ours}


def _admin_args(name: str) -> list[Any]:
    if name == "admin:app_list":
        return ["products"]
    if name == "admin:view_on_site":
        return [1, 1]
    for model in admin.site._registry:
        page = re.fullmatch(f"admin:{model._meta.app_label}_{model._meta.model_name}_(.+)", name)
        if page and page[1] in ("change", "delete", "history", "password_change"):
            one = model._default_manager.first()
            return [one.pk if one else 1]
    return []
