"""Price overrides, and costs that are added later."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from aicost import queries
from aicost.exports import dashboard as dashboard_export
from aicost.presentation.dashboard.unpriced import notice
from billing import ledger
from billing.events.usage_event import Tokens
from billing.ledger import corrections
from billing.models import CreditTransaction, DailySpend, MonthlySpend, PriceOverride, RunSpend, UnpricedUsage
from billing.prices import model_names
from billing.prices.model_names import Unpriced
from billing.prices.price_list import Rates
from billing.verification import differences
from tests.conftest import NOW
from tests.damage import refused
from tests.factories import event, send, usage
from tests.prices import listed_nanos
from tests.stored import stored

pytestmark = pytest.mark.usefixtures("clock")

UNKNOWN = {"costDollars": None, "model": "ours", "inputTokens": 1_000_000, "outputTokens": 100_000}
DAY_BEFORE = (NOW - timedelta(days=1)).isoformat()


def override(project: Any, starts_on: date = date(2026, 1, 1), **rates: Any) -> PriceOverride:
    given = {"model": "ours", "input_rate": Decimal(2), "output_rate": Decimal(10), **rates}
    return PriceOverride.objects.create(project=project, starts_on=starts_on, **given)


def price_unpriced(*arguments: str) -> str:
    out = StringIO()
    call_command("price_unpriced", *arguments, stdout=out)
    return out.getvalue()


def nanos(rates: Rates, tokens: Tokens) -> int | None:
    return listed_nanos("any", tokens, NOW, rates=rates)


def test_each_token_count_has_its_own_rate() -> None:
    tokens = Tokens(input=1, cache_read=20, cache_write=700, cache_write_1h=300, output=4_000)
    rates = Rates(*map(Decimal, ("1000", "1", "10", "100", "500")))
    expected = 1 * 1000 + 20 * 10 + 400 * 100 + 300 * 500 + 4_000 * 1
    assert nanos(rates, tokens) == expected * 1000


def test_omitted_rates_default_to_the_input_rate_and_the_write_rate() -> None:
    tokens = Tokens(input=1, cache_read=20, cache_write=700, cache_write_1h=300, output=4_000)
    assert nanos(Rates(Decimal(3), Decimal(0)), tokens) == 721 * 3_000
    with_writes = Rates(Decimal(0), Decimal(0), cache_write=Decimal(2))
    assert nanos(with_writes, tokens) == 700 * 2_000


def test_a_token_price_below_a_nano_dollar_is_rounded_once_in_the_sum() -> None:
    rates = Rates(input=Decimal("0.0005"), output=Decimal("0.0005"))
    assert nanos(rates, Tokens(input=1, output=2)) == 2  # 1.5, half to even
    assert nanos(rates, Tokens(input=1)) == 0  # 0.5, half to even


def test_recorded_tokens_are_subtracted_at_the_same_rates() -> None:
    rates = Rates(Decimal(2), Decimal(10))
    cost = listed_nanos("any", Tokens(output=5), NOW, already_recorded=Tokens(input=7, output=3), rates=rates)
    assert cost == 5 * 10_000


def test_an_override_precedes_the_list_from_its_first_day_in_the_billing_zone(project: Any) -> None:
    project.time_zone = "Pacific/Auckland"  # UTC+13 in March
    project.save()
    model = "claude-haiku-4-5"
    listed = listed_nanos(model, Tokens(input=1_000_000), NOW)
    override(project, date(2026, 3, 10), model=model, input_rate=Decimal(7))
    override(project, date(2026, 3, 12), model=model, input_rate=Decimal(9))
    fields = {"costDollars": None, "model": model, "inputTokens": 1_000_000}

    def cost(at: datetime) -> int:
        return usage(project, occurredAt=at.isoformat(), **fields).amount_nanos

    first_day = datetime(2026, 3, 9, 11, tzinfo=UTC)  # midnight in Auckland
    assert cost(first_day - timedelta(microseconds=1)) == listed
    assert cost(first_day) == 7 * 10**9
    assert cost(first_day + timedelta(days=2) - timedelta(microseconds=1)) == 7 * 10**9
    assert cost(first_day + timedelta(days=2)) == 9 * 10**9


def test_an_override_applies_to_one_product_and_one_exact_model(project: Any, other_project: Any) -> None:
    override(project)
    assert usage(project, **UNKNOWN).amount_nanos == 3 * 10**9
    assert usage(project, **UNKNOWN | {"model": "Ours"}).cost_source == "unpriced"
    assert usage(other_project, **UNKNOWN).cost_source == "unpriced"


def test_an_override_changes_no_recorded_and_no_stated_cost(project: Any) -> None:
    first = usage(project, **UNKNOWN)
    override(project)
    stated = usage(project, **UNKNOWN | {"costDollars": "0.5"})
    assert send(project, event(**UNKNOWN | {"eventId": first.event_id})) == ["duplicate"]
    first.refresh_from_db()
    assert (first.amount_nanos, first.cost_source) == (0, "unpriced")
    assert (stated.amount_nanos, stated.cost_source) == (5 * 10**8, "reported")


def test_an_override_that_makes_a_cost_absurd_rejects_only_that_event(project: Any) -> None:
    override(project, input_rate=Decimal(100_000))
    batch = [event(**UNKNOWN | {"inputTokens": 10**12}), event(**UNKNOWN | {"inputTokens": 1})]
    assert send(project, *batch) == ["rejected", "recorded"]


def test_overrides_are_read_only_if_a_cost_must_be_computed(project: Any) -> None:
    override(project)
    with connection.execute_wrapper(_refuse_price_overrides):
        usage(project)
        send(project, event(kind="job"))


def _refuse_price_overrides(execute: Any, sql: str, *rest: Any) -> Any:
    assert "priceoverride" not in sql
    return execute(sql, *rest)


def test_missing_costs_are_added_and_the_deductions_stay_unchanged(project: Any) -> None:
    usage(project, eventId="a", agentType="testing", jobId="j", **UNKNOWN)
    usage(project, eventId="b", agentType="testing", jobId="j", occurredAt=DAY_BEFORE, **UNKNOWN)
    usage(project, eventId="c", agentType="testing", jobId="j", costDollars="1")
    usage(project, eventId="d", agentType="testing", jobId="j", **UNKNOWN | {"model": "another"})
    before = stored(project)["ledger"]

    output = price_unpriced("--price", "ours=2/10")

    after = stored(project)["ledger"]
    assert {key: after[key] for key in before} == before
    assert set(after) - set(before) == {"a+priced", "b+priced"}
    correction = CreditTransaction.objects.get(event_id="b+priced")
    original = CreditTransaction.objects.get(event_id="b")
    same = ("project_id", "job_id", "kind", "model", "occurred_at", "billed_on")
    assert [getattr(correction, name) for name in same] == [getattr(original, name) for name in same]
    assert (correction.amount_nanos, correction.cost_source, correction.corrects_id) == (
        3 * 10**9,
        "computed",
        original.pk,
    )
    assert (correction.input_tokens, correction.output_tokens) == (0, 0)
    assert "priced                2   $6" in output
    assert "another: 1 not priced, no price is known" in output

    month = MonthlySpend.objects.get(project=project, month=date(2026, 3, 1))
    assert (month.cost_nanos, month.unpriced, month.transactions) == (7 * 10**9, 1, 6)
    assert (month.input_tokens, month.output_tokens) == (3_000_000, 300_000)
    assert {day.day.day: day.cost_nanos for day in DailySpend.objects.filter(project=project)} == {
        16: 3 * 10**9,
        17: 4 * 10**9,
    }
    assert RunSpend.objects.get(project=project).cost_nanos == 7 * 10**9
    [left] = UnpricedUsage.objects.filter(project=project)
    assert (left.model, left.transactions, left.input_tokens, left.output_tokens) == (
        *("another", 1, 1_000_000, 100_000),
    )
    assert list(differences(project)) == []


def test_pricing_again_changes_nothing(project: Any) -> None:
    usage(project, **UNKNOWN)
    price_unpriced("--price", "ours=2/10")
    once = stored(project)
    output = price_unpriced("--price", "ours=5/50")
    assert stored(project) == once
    assert output.split()[:4] == ["priced", "0", "$0", "unpriced"]


def test_a_given_price_precedes_an_override_which_precedes_the_list(project: Any) -> None:
    listed = {"costDollars": None, "inputTokens": 1_000_000}
    send(project, *(event(**listed, model="claude-haiku-4-5", eventId=f"e{n}") for n in range(2)))
    usage(project, eventId="own", **UNKNOWN)
    usage(project, eventId="given", **UNKNOWN | {"model": "given"})
    override(project)
    override(project, model="given")
    price_unpriced("--price", "given=1/0")
    costs = dict(
        CreditTransaction.objects.filter(corrects__isnull=False).values_list("event_id", "amount_nanos")
    )
    assert costs == {"own+priced": 3 * 10**9, "given+priced": 10**9}


def test_a_newer_price_list_prices_models_that_the_older_did_not_know(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"costDollars": None, "model": "claude-haiku-4-5", "inputTokens": 1_000_000}
    with monkeypatch.context() as older:
        older.setattr(model_names, "find", lambda name, provider: Unpriced(name, "too old a list"))
        usage(project, eventId="e", **known)
    price_unpriced("--project", str(project.pk))
    correction = CreditTransaction.objects.get(event_id="e+priced")
    assert correction.amount_nanos == listed_nanos("claude-haiku-4-5", Tokens(input=1_000_000), NOW)


def test_a_dry_run_reports_and_records_nothing(project: Any) -> None:
    usage(project, **UNKNOWN)
    before = stored(project)
    output = price_unpriced("--price", "ours=2/10", "--dry-run")
    assert "ours: 1 priced, $3" in output
    assert "nothing was recorded" in output
    assert stored(project) == before


def test_only_the_named_product_is_priced(project: Any, other_project: Any) -> None:
    usage(project, **UNKNOWN)
    usage(other_project, **UNKNOWN)
    price_unpriced("--project", str(project.pk), "--price", "ours=2/10")
    corrected = CreditTransaction.objects.filter(corrects__isnull=False)
    assert [line.project_id for line in corrected] == [project.pk]


def test_more_than_a_page_is_priced_in_pages(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corrections, "PAGE", 3)
    send(project, *(event(eventId=f"e{n}", **UNKNOWN) for n in range(7)))
    assert "ours: 7 priced" in price_unpriced("--price", "ours=2/10")
    assert not CreditTransaction.objects.unpriced().exists()
    assert list(differences(project)) == []


def test_a_correction_whose_id_is_taken_is_reported_and_left_out(project: Any) -> None:
    usage(project, eventId="a+priced")
    usage(project, eventId="a", **UNKNOWN)
    assert "a sender has already used the id a+priced" in price_unpriced("--price", "ours=2/10")
    assert CreditTransaction.objects.unpriced().get().event_id == "a"


def test_the_suffix_fits_the_longest_id(project: Any) -> None:
    usage(project, eventId="é" * 200, **UNKNOWN)
    price_unpriced("--price", "ours=2/10")
    assert CreditTransaction.objects.get(corrects__isnull=False).event_id == "é" * 200 + "+priced"


def test_an_absurd_cost_is_not_recorded(project: Any) -> None:
    usage(project, **UNKNOWN | {"inputTokens": 10**12})
    assert "it would cost more than 1,000,000 dollars" in price_unpriced("--price", "ours=2/10")
    assert not CreditTransaction.objects.filter(corrects__isnull=False).exists()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("ours", "write MODEL=INPUT/OUTPUT"),
        ("ours=2", "write MODEL=INPUT/OUTPUT"),
        ("=2/10", "write MODEL=INPUT/OUTPUT"),
        ("ours=2/10/1/1/1/1", "write MODEL=INPUT/OUTPUT"),
        ("ours=2/cheap", "cheap: a price is a number"),
        ("ours=-1/10", "-1: a price is from 0 to"),
        ("ours=NaN/10", "NaN: a price is from 0 to"),
        ("ours=1/100001", "100001: a price is from 0 to"),
    ],
)
def test_an_invalid_price_is_refused_and_nothing_recorded(project: Any, wrong: str, reason: str) -> None:
    usage(project, **UNKNOWN)
    with pytest.raises(CommandError, match=reason):
        price_unpriced("--price", wrong)
    assert CreditTransaction.objects.count() == 1


def test_a_model_name_may_contain_slashes_and_equals_signs(project: Any) -> None:
    usage(project, eventId="e", **UNKNOWN | {"model": "openai/ours=2"})
    price_unpriced("--price", "openai/ours=2=1/0")
    assert CreditTransaction.objects.get(event_id="e+priced").amount_nanos == 10**9


def test_corrections_move_with_their_job_to_another_agent_type(project: Any) -> None:
    usage(project, jobId="j", **UNKNOWN)
    price_unpriced("--price", "ours=2/10")
    usage(project, jobId="j", **UNKNOWN)
    send(project, event(kind="job", jobId="j", agentType="testing"))
    [month] = MonthlySpend.objects.filter(project=project)
    assert month.agent_type.slug == "testing"
    assert (month.cost_nanos, month.unpriced, month.transactions) == (3 * 10**9, 1, 3)
    assert list(differences(project)) == []


def test_recent_deductions_show_their_present_cost(project: Any) -> None:
    usage(project, eventId="a", **UNKNOWN)
    usage(project, eventId="b", **UNKNOWN | {"model": "another"})
    price_unpriced("--price", "ours=2/10")
    found = {line.event_id: (line.cost, line.unpriced) for line in queries.recent(project)}
    assert found == {"a": (3 * 10**9, False), "b": (0, True)}


def test_the_ledger_export_contains_corrections_and_totals_them(project: Any) -> None:
    usage(project, eventId="a", **UNKNOWN)
    price_unpriced("--price", "ours=2/10")
    lines = list(dashboard_export.ledger_lines(project, date(2026, 3, 1)))
    assert [line.split(",")[0] for line in lines] == ["eventId", "a", "a+priced", "total"]
    assert lines[-1].rstrip().endswith(",3")


def test_the_database_refuses_a_second_correction_of_a_deduction(project: Any) -> None:
    original = usage(project, **UNKNOWN)
    price_unpriced("--price", "ours=2/10")
    decision = corrections.Decision(
        corrections.Unpriced(
            *(original.pk, "other-id", "ours", original.occurred_at, original.billed_on),
            *(original.job_id, original.job.run_id, "other", "succeeded", Tokens()),
        ),
        1,
    )
    with refused("(?i)unique"):
        corrections._record(ledger.lock(project), [decision])


def test_verification_reports_a_correction_of_a_priced_deduction(project: Any) -> None:
    priced = usage(project, eventId="a", jobId="j")
    decision = corrections.Decision(
        corrections.Unpriced(
            *(priced.pk, "a", "", priced.occurred_at, priced.billed_on),
            *(priced.job_id, priced.job.run_id, "other", "succeeded", Tokens()),
        ),
        1,
    )
    with transaction.atomic():
        corrections._record(ledger.lock(project), [decision])
    assert any("a+priced: it corrects no unpriced deduction" in line for line in differences(project))


def test_a_month_without_unpriced_usage_needs_no_query_for_models(project: Any) -> None:
    usage(project)
    with CaptureQueriesContext(connection) as captured:
        found = queries.dashboard(project, "agents", days=30)
    assert notice(found.page.summary, found.unpriced, found.priced_without) is None
    assert [query for query in captured if UnpricedUsage._meta.db_table in query["sql"]] == []


# Overrides for a price factor


@pytest.mark.parametrize(
    ("reported", "dollars", "without", "source"),
    [
        ({}, 3, "", "override of"),
        ({"serviceTier": "priority"}, 30, "", "override serviceTier=priority of"),
        ({"serviceTier": "Priority"}, 30, "", "override serviceTier=priority of"),
        ({"serviceTier": "flex"}, 3, "serviceTier=flex", "override of"),
        ({"batch": True}, 1, "", "override batch=batch of"),
        ({"serviceTier": "priority", "region": "us"}, 30, "region=us", "override serviceTier=priority of"),
    ],
)
def test_an_override_for_a_factor_precedes_that_of_the_model(project, reported, dollars, without, source):
    override(project)
    override(project, factor="serviceTier=priority", input_rate=Decimal(20), output_rate=Decimal(100))
    override(project, factor="batch=batch", input_rate=Decimal(1), output_rate=Decimal(0))
    usage(project, **UNKNOWN | reported)
    line = CreditTransaction.objects.get(project=project)
    assert (line.amount_nanos, line.priced_without) == (dollars * 10**9, without)
    assert line.price_source == f"{source} 2026-01-01"


def test_a_factor_that_an_override_states_completes_a_cost(project):
    usage(project, **UNKNOWN | {"model": "claude-haiku-4-5", "serviceTier": "turbo"})
    assert CreditTransaction.objects.get().priced_without == "serviceTier=turbo"
    override(project, model="claude-haiku-4-5", factor="serviceTier=turbo", input_rate=Decimal(7))
    assert "1 completed" in price_unpriced()
    line = CreditTransaction.objects.deductions().get()
    assert (line.amount_nanos, line.priced_without) == (8 * 10**9, "")


@pytest.mark.parametrize(
    ("written", "stored_as"),
    [
        ("serviceTier = Priority", "serviceTier=priority"),
        ("batch", "batch=batch"),
        ("speed=fast", "speed=fast"),
        ("", ""),
    ],
)
def test_a_factor_is_stored_as_calls_report_it(project, written, stored_as):
    row = PriceOverride(project=project, model="m", starts_on=NOW.date(), input_rate=1, output_rate=1)
    row.factor = written
    row.full_clean()
    assert row.factor == stored_as


@pytest.mark.parametrize("written", ["fast", "speed", "speed=standard", "tier=x", "batch=no"])
def test_what_is_no_factor_is_refused(project, written):
    row = PriceOverride(project=project, model="m", starts_on=NOW.date(), input_rate=1, output_rate=1)
    row.factor = written
    with pytest.raises(ValidationError, match="Write one factor"):
        row.full_clean()
