"""Presentation and templates only turn what a view queried into text: they never query themselves."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import PurePath
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test import Client
from django.urls import reverse

from aicost.presentation import members
from billing.budgets import limits
from products.models import Project
from tests import every_url as every
from tests.factories import event, send

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock"), pytest.mark.once]

STATES = ("", "?tab=trend", "?tab=runs", "?tab=recent", "?range=90", "?month=2026-02")


def is_presentation(path: str) -> bool:
    parts = PurePath(path).parts
    return "presentation" in parts and "aicost" in parts


@contextmanager
def queries_by_presentation() -> Iterator[list[str]]:
    """The SQL that runs while a function of `aicost.presentation` is on the stack."""
    found: list[str] = []

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if any(is_presentation(frame.f_code.co_filename) for frame, _ in traceback.walk_stack(None)):
            found.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        yield found


@pytest.fixture
def busy(project: Project) -> Project:
    """Something for every panel: a failed job, an unpriced model, a refund, a purchase, a limit."""
    send(
        project,
        event(eventId="a", jobStatus="failed"),
        event(model="nobody-knows", costDollars=None, inputTokens=7),
        event(kind="refund", jobId="a"),
        event(kind="purchase"),
    )
    limits.set_limit(project, Decimal("2.00"), by=project.owner)
    return project


def test_no_page_queries_while_it_is_presented(busy: Project, owner: Any) -> None:
    client = Client()
    client.force_login(owner)
    addresses = [
        every.page_of(busy.pk, name) for name in (*every.PAGES, *every.OF_MANAGERS, *every.OVERSIGHT)
    ]
    addresses += [every.page_of(busy.pk, "ai-cost") + query for query in STATES]
    addresses += [reverse(name, args=args) for name, args in every.OWN.items()]
    for address in addresses:
        with queries_by_presentation() as found:
            response = client.get(address)
            assert response.status_code in (200, 204), address
            if response.streaming:
                b"".join(response.streaming_content)
        assert found == [], address


def test_a_query_by_presentation_would_be_noticed(busy: Project) -> None:
    lazy = busy.memberships.all()
    with queries_by_presentation() as found:
        members.page(busy, lazy, AnonymousUser(), may_change=False)
    assert found != []
