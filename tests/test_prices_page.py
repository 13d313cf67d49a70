"""The page of prices: what models cost, prices of one's own, and booking what is missing."""

import re
import sys
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from aicost import queries
from aicost.views import prices as view
from billing.models import CreditTransaction, PriceOverride
from products.models import AuditEntry, Project
from tests.conftest import NOW
from tests.factories import usage

pytestmark = pytest.mark.usefixtures("clock")

CALL = {"costDollars": None, "inputTokens": 1_000, "outputTokens": 100}
FORM = {"model": "ours", "factor": "", "starts_on": "2026-03-01", "input_rate": "2", "output_rate": "10"}


@pytest.fixture
def client(owner: Any) -> Client:
    client = Client()
    client.force_login(owner)
    return client


def page(client: Client, project: Project, query: str = "") -> str:
    response = client.get(reverse("prices", args=[project.pk]) + query)
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).split())


def test_models_of_the_quarter_have_their_prices_and_what_a_thousand_calls_cost(client, project):
    usage(project, **CALL, model="claude-sonnet-4-5")
    usage(project, **CALL | {"inputTokens": 3_000}, model="claude-sonnet-4-5")
    usage(project, **CALL, model="gpt-5.1", occurredAt=(NOW - timedelta(days=90)).isoformat())
    [found] = queries.prices(project).models
    assert (found.model, found.calls, found.average.input) == ("claude-sonnet-4-5", 2, 2_000)
    assert found.thousand_nanos == 1_000 * (2_000 * 3 + 100 * 15) * 1_000
    shown = page(client, project)
    assert (
        "claude-sonnet-4-5 2 calls input $3.00 cache read $0.30 cache write $3.75 1-hour write $6.00" in shown
    )
    assert "price list: anthropic/claude-sonnet-4-5 · batch × 0.5, web searches $10.00 a thousand" in shown
    assert "gpt-5.1" not in shown


def test_a_model_without_a_price_says_why_and_comes_first(client, project):
    usage(project, **CALL, model="claude-sonnet-4-5")
    usage(project, **CALL, model="ours")
    assert [model.model for model in queries.prices(project).models] == ["ours", "claude-sonnet-4-5"]
    assert "ours 1 calls no price — 1 call booked without a price. the price list has no ours" in page(
        client, project
    )


def test_a_price_of_ones_own_replaces_the_lists_from_its_day(client, project, owner):
    usage(project, **CALL, model="claude-sonnet-4-5")
    response = client.post(
        reverse("prices", args=[project.pk]), FORM | {"model": "claude-sonnet-4-5"}, follow=True
    )
    assert "From 1 Mar 2026 on, claude-sonnet-4-5 costs $2.00" in response.content.decode()
    assert AuditEntry.objects.filter(project=project, kind="price-set", who=owner).count() == 1
    [found] = queries.prices(project).models
    assert [(str(p.first_day), p.rates.input, p.is_own) for p in found.periods] == [
        ("2026-03-01", Decimal(2), True),
        ("2026-01-01", Decimal(3), False),
    ]
    assert "own price" in page(client, project)


def test_a_second_price_of_a_day_takes_the_place_of_the_first(client, project):
    for rate in ("2", "7"):
        client.post(reverse("prices", args=[project.pk]), FORM | {"input_rate": rate})
    client.post(reverse("prices", args=[project.pk]), FORM | {"factor": "serviceTier=priority"})
    found = PriceOverride.objects.values_list("factor", "input_rate")
    assert sorted(found) == [("", Decimal(7)), ("serviceTier=priority", Decimal(2))]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"model": ""}, "This field is required"),
        ({"input_rate": "-1"}, "greater than or equal to 0"),
        ({"output_rate": "100001"}, "less than or equal to 100000"),
        ({"factor": "fast"}, "Write one factor that isn"),
        ({"starts_on": "tomorrow"}, "Enter a valid date"),
    ],
)
def test_what_is_no_price_is_refused_by_name_and_changes_nothing(client, project, wrong, words):
    response = client.post(reverse("prices", args=[project.pk]), FORM | wrong)
    assert response.status_code == 422
    assert words in response.content.decode()
    assert not PriceOverride.objects.exists()


def test_a_price_is_removed(client, project, other_project):
    client.post(reverse("prices", args=[project.pk]), FORM)
    override = PriceOverride.objects.get()
    assert client.post(reverse("price-remove", args=[other_project.pk, override.pk])).status_code == 404
    assert PriceOverride.objects.exists()
    client.post(reverse("price-remove", args=[project.pk, override.pk]))
    assert not PriceOverride.objects.exists()


def test_what_is_missing_is_previewed_and_booked(client, project):
    usage(project, **CALL, model="ours")
    usage(project, **CALL, model="nobody-knows")
    usage(project, **CALL, model="claude-opus-4-5", speed="fast")
    assert "The ledger has 2 calls without a price and 1 call priced without a reported factor" in page(
        client, project
    )
    assert "Nothing can be booked yet" in page(client, project, "?preview")
    client.post(reverse("prices", args=[project.pk]), FORM)
    client.post(
        reverse("prices", args=[project.pk]), FORM | {"model": "claude-opus-4-5", "factor": "speed=fast"}
    )
    before = CreditTransaction.objects.count()
    shown = page(client, project, "?preview")
    assert "ours 1 calls adds $0.003" in shown
    assert "nobody-knows 1 calls stays as it is: no price is known" in shown
    assert "claude-opus-4-5 1 calls takes off $0.0045 for a factor" in shown
    assert CreditTransaction.objects.count() == before
    response = client.post(reverse("prices-missing", args=[project.pk]), follow=True)
    assert "has been booked for 2 calls" in response.content.decode()
    assert queries.missing(project) == (1, 0)
    assert queries.month_summary(project).cost == 6_000_000


def test_too_much_for_a_request_is_left_to_the_command(client, project, monkeypatch):
    monkeypatch.setattr(view, "MOST_BOOKED", 1)
    for _ in range(2):
        usage(project, **CALL, model="claude-opus-4-5", speed="fast")
    assert "manage.py price_unpriced" in page(client, project, "?preview")
    response = client.post(reverse("prices-missing", args=[project.pk]), follow=True)
    assert "Nothing has been booked" in response.content.decode()


def test_the_models_that_cost_most_are_shown_and_the_others_counted(client, project, monkeypatch):
    monkeypatch.setattr(sys.modules["aicost.queries.prices"], "MOST_MODELS", 2)
    for number in range(5):
        usage(project, **CALL, model=f"model-{number}")
    assert "and 3 more models" in page(client, project)
