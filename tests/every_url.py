"""Every address of the product by the name of its pattern: how it is built, and whom it is for.

`tests/test_tenancy.py` fails for a pattern whose name is in none of these.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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
}
"""A GET, for everybody who sees the product; what the address needs besides it."""

CHANGES: dict[str, Form] = {
    "budget": Form({"limit": "250", "note": ""}),
    "budget-policy": Form({"policy": "warn"}),
    "alerts": Form({"thresholds": "50", "email_more": "", "webhook_url": ""}),
    "alert-secret": Form({}, status=200),
    "alert-test": Form({}, args=("webhook",)),
    "alert-send-again": Form({}, args=("a delivery",)),
    "connect": Form({"newest": "0"}, status=200),
}
"""A POST, for the product's owner and its managers."""

OWN: dict[str, tuple[str, ...]] = {
    "portfolio": (),
    "export-portfolio": ("csv",),
    "tokens": (),
    "api": (),
}
"""For whoever is signed in, showing what is theirs."""

OWN_CHANGES: dict[str, Form] = {
    "tokens": Form({"name": "mine", "scope": "read", "lifetime": "30"}, status=200),
    "revoke-token": Form({}, args=("a token",)),
}

DOORS = {"usage": "/api/v1/usage", "traces": "/v1/traces", "litellm": "/api/v1/litellm"}
"""Usage comes in, by tokens."""

CALLS = ("trpc", "jsonrpc")
"""Procedures are called; who may call which is the table of `tests/test_callers.py`."""

OPEN = ("sign-in", "sign-out", "healthz", "readyz", "metrics")
"""For people and machines that nobody knows yet."""

EXPORTS = ("agents", "trend", "runs", "recent", "daily", "unpriced", "waste", "changes")


def names(resolver: URLResolver | None = None, space: str = "") -> Iterator[str]:
    """Of all patterns; one without a name goes by its text."""
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLPattern):
            yield space + (pattern.name or f"unnamed {pattern.pattern}")
        else:
            yield from names(pattern, space + (f"{pattern.namespace}:" if pattern.namespace else ""))


def page_of(project_id: Any, name: str) -> str:
    return reverse(name, args=[project_id, *PAGES[name]])


def change_of(project: Project, name: str, project_id: Any = None) -> str:
    """`project_id` names another product, for the very same thing."""
    args = [_delivery(project) if arg == "a delivery" else arg for arg in CHANGES[name].args]
    return reverse(name, args=[project_id or project.pk, *args])


def _delivery(project: Project) -> str:
    [delivery] = outbox.queue_test(project, "webhook")
    return str(delivery.pk)
