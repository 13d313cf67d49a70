"""What changes the price of a call besides its model and tokens, from the event to the page."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from aicost import queries
from billing import verification
from billing.events import price_factors
from billing.events.price_factors import NO_FACTORS, PriceFactors
from billing.events.usage_event import EventError, Tokens
from billing.models import CreditTransaction, PricedWithout
from billing.prices import factors as table
from billing.prices import price_list
from billing.prices.factors import Row
from products.models import Project
from tests.calls import call
from tests.factories import event, send, usage

pytestmark = pytest.mark.usefixtures("clock")

AT = datetime(2026, 11, 20, tzinfo=UTC)
MILLION = Tokens(input=1_000_000)
CALL = {"costDollars": None, "inputTokens": 1_000_000, "model": "claude-opus-4-5"}


def dollars(model: str, at: datetime = AT, tokens: Tokens = MILLION, **factors: Any) -> tuple[Decimal, str]:
    price = price_list.price(model, tokens, at, factors=PriceFactors(**factors))
    assert price
    return Decimal(price.nanos).scaleb(-9), price.without


# The price


@pytest.mark.parametrize(
    ("model", "factors", "expected"),
    [
        ("claude-opus-4-8", {}, "5"),
        ("claude-opus-4-8", {"speed": "fast"}, "10"),
        ("claude-opus-4-8", {"region": "us"}, "5.5"),
        ("claude-opus-4-8", {"speed": "fast", "region": "us"}, "11"),
        ("claude-opus-4-8", {"web_searches": 3, "web_fetches": 9}, "5.03"),
        ("claude-opus-4-8", {"batch": True}, "2.5"),
        ("gpt-5.5", {"service_tier": "priority"}, "12.5"),
        ("gpt-5.1", {"service_tier": "flex"}, "0.625"),
    ],
)
def test_a_known_factor_is_in_the_price(model: str, factors: dict[str, Any], expected: str) -> None:
    tokens = Tokens(input=100_000)  # below every limit of long contexts
    price, without = dollars(model, tokens=tokens, **factors)
    fee = Decimal("0.03") if "web_searches" in factors else Decimal(0)
    assert (price - fee, without) == ((Decimal(expected) - fee) / 10, "")


def test_a_factor_has_days() -> None:
    """Fast mode of Opus 4.6 cost six times as much until it was withdrawn, and nothing more since."""
    april, july = datetime(2026, 4, 20, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
    assert dollars("claude-opus-4-6", april, speed="fast") == (Decimal(30), "")
    assert dollars("claude-opus-4-6", july, speed="fast") == (Decimal(5), "")


def test_a_tier_is_known_before_the_price_list_knew_it() -> None:
    july = datetime(2026, 7, 1, tzinfo=UTC)
    assert dollars("gpt-5.1", july, service_tier="flex") == (Decimal("0.625"), "")


def test_the_name_says_a_factor_too() -> None:
    april = datetime(2026, 4, 20, tzinfo=UTC)
    assert dollars("anthropic/claude-opus-4.6-fast", april) == (Decimal(30), "")


def test_audio_is_part_of_the_tokens() -> None:
    spoken = Tokens(input=1_100, output=1_100)
    price = dollars(
        "gpt-4o-audio-preview", tokens=spoken, audio_input_tokens=1_000, audio_output_tokens=1_000
    )
    assert price == (Decimal("0.12125"), "")


@pytest.mark.parametrize(
    ("model", "factors", "without"),
    [
        ("claude-opus-4-5", {"speed": "fast"}, "speed=fast"),
        (
            "claude-opus-4-8",
            {"service_tier": "priority", "region": "mars"},
            "serviceTier=priority, region=mars",
        ),
        ("claude-opus-4-8", {"audio_input_tokens": 5}, "audioInputTokens"),
    ],
)
def test_an_unknown_factor_is_named(model: str, factors: dict[str, Any], without: str) -> None:
    assert dollars(model, **factors) == (Decimal(5), without)


def test_every_row_of_the_table_names_its_source() -> None:
    for row in table.table():
        assert row.source.startswith(("https://", "Azure retail price list"))
        assert date(2026, 11, 1) <= row.read_on
        assert row.first_day <= row.last_day
        assert row.multiplier > 0


@pytest.mark.parametrize("word", ["standard", "default", "", "auto", "On_Demand", "not_available"])
def test_what_every_call_gets_is_no_factor(word: str) -> None:
    assert price_factors.normal(speed=word, service_tier=word, region=word) is NO_FACTORS


# The event


def test_an_event_reports_factors(project: Project) -> None:
    reported = {"speed": "fast", "serviceTier": "batch", "region": "US", "webSearches": 2, "batch": None}
    line = usage(project, **CALL | {"model": "claude-opus-4-8"} | reported)
    stored = price_factors.from_text(line.price_factors)
    assert stored == PriceFactors(speed="fast", region="us", batch=True, web_searches=2)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"speed": 7}, "speed"),
        ({"region": "x" * 61}, "region"),
        ({"batch": "perhaps"}, "batch"),
        ({"webSearches": -1}, "webSearches"),
        ({"audioInputTokens": 1_000_001}, "audioInputTokens"),
        ({"kind": "refund", "jobId": "j", "costDollars": "1", "inputTokens": 0, "speed": "fast"}, "speed"),
    ],
)
def test_a_wrong_factor_is_named(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(EventError) as error:
        event(**CALL | fields)
    assert error.value.field == field


def test_the_line_says_what_priced_it(project: Project) -> None:
    assert usage(project, **CALL).price_source == price_list.version()
    assert usage(project, eventId="stated", costDollars="1", speed="fast").price_source == ""


# Priced without


@pytest.fixture
def lacking(project: Project) -> Project:
    """A product with two calls whose speed has no known price."""
    usage(project, eventId="e1", speed="fast", **CALL)
    usage(project, eventId="e2", speed="fast", callIds=["req-1"], **CALL)
    usage(project, eventId="e3", **CALL)
    project.refresh_from_db()
    return project


@pytest.fixture
def known_now(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The table has learnt what fast mode of that model costs."""
    row = Row(
        *("anthropic", ("claude-opus-4-5",), "speed", ("fast",), date.min, date.max),
        *(Fraction(1, 2), Fraction(1, 2), Decimal(0), "https://example.com", date(2026, 11, 29)),
    )
    rows = (*table.table(), row)
    monkeypatch.setattr(table, "table", lambda: rows)
    table._rows.cache_clear()
    yield
    table._rows.cache_clear()


def complete(*options: str) -> str:
    out = StringIO()
    call_command("price_unpriced", *options, stdout=out)
    return out.getvalue()


def test_what_is_priced_without_a_factor_is_named_everywhere(lacking: Project, owner: Any) -> None:
    assert queries.priced_without(lacking) == [("claude-opus-4-5", "speed=fast", 2)]
    client = Client()
    client.force_login(owner)
    result = call(client, "trpc", "aiCost.getMonthlySummary", {"projectId": str(lacking.pk)})
    expected = {"model": "claude-opus-4-5", "factors": "speed=fast", "transactions": 2}
    assert result.data["pricedWithout"] == [expected]
    page = client.get(reverse("ai-cost", args=[lacking.pk])).content.decode()
    assert re.search(r'priced without\s+<bdi\s+class="clip">speed fast</bdi>', page)


def test_a_product_whose_prices_are_complete_says_nothing(project: Project) -> None:
    usage(project, **CALL)
    project.refresh_from_db()
    assert not project.has_missing_factors
    assert queries.priced_without(project) == []


def test_a_factor_that_becomes_known_completes_the_price(lacking: Project, known_now: None) -> None:
    before = queries.month_summary(lacking)
    assert "claude-opus-4-5: 2 completed, -$5" in complete("--dry-run")
    assert queries.month_summary(lacking) == before
    assert "claude-opus-4-5: 2 completed, -$5" in complete()
    after = queries.month_summary(lacking)
    assert (before.cost - after.cost, after.tokens, after.jobs) == (5 * 10**9, before.tokens, before.jobs)
    assert queries.priced_without(lacking) == []
    assert not PricedWithout.objects.exists()
    assert "completed" not in complete()
    with verification.snapshot():
        assert list(verification.differences(lacking)) == []


def test_completed_calls_are_known_under_the_ids_they_were_sent_with(
    lacking: Project, known_now: None
) -> None:
    complete()
    assert send(lacking, event(eventId="e1", speed="fast", **CALL)) == ["duplicate"]
    assert send(lacking, event(eventId="e2", speed="fast", callIds=["req-1"], **CALL)) == ["duplicate"]
    standing = CreditTransaction.objects.deductions().filter(project=lacking)
    assert sorted(standing.values_list("amount_nanos", flat=True)) == [25 * 10**8, 25 * 10**8, 5 * 10**9]


def test_a_factor_that_stays_unknown_leaves_the_line_alone(lacking: Project) -> None:
    assert "2 not completed, what speed=fast costs is not known" in complete()
    assert queries.priced_without(lacking) == [("claude-opus-4-5", "speed=fast", 2)]


def test_rebuilt_rollups_are_the_same(lacking: Project) -> None:
    call_command("rebuild_rollups", project=lacking.pk, stdout=StringIO())
    assert queries.priced_without(lacking) == [("claude-opus-4-5", "speed=fast", 2)]
