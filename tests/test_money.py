"""Nano-dollars, credits, percentages and budget states."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import money

pytestmark = pytest.mark.once

LIMIT = 100 * money.NANOS_PER_DOLLAR


@pytest.mark.parametrize(
    ("dollars", "nanos"),
    [
        ("1", 1_000_000_000),
        ("1.00", 1_000_000_000),
        ("0.000000001", 1),
        ("0.0000000004999", 0),
        ("0.0000000005", 0),
        ("0.00000000050000001", 1),
        ("0.0000000015", 2),
        ("0.0000000025", 2),
        ("0.0000000035", 4),
        ("1e-9", 1),
        ("1E+6", 10**15),
        ("1000000", 10**15),
        ("999999.9999999995", 10**15),
        ("-0", 0),
    ],
)
def test_dollars_are_rounded_once_half_to_even(dollars: str, nanos: int) -> None:
    assert money.nanos_from_dollars(Decimal(dollars)) == nanos


@pytest.mark.parametrize(
    ("credits_", "per_dollar", "nanos"),
    [
        ("1", 100, 10_000_000),
        ("0.00000005", 100, 0),
        ("0.00000015", 100, 2),
        ("1", 3, 333_333_333),
        ("2", 3, 666_666_667),
        ("0.0000000015", 3, 0),
        ("0.0000000045", 3, 2),
        ("1e-5000", 100, 0),
        ("100000000", 100, 10**15),
    ],
)
def test_credits_are_divided_exactly_and_rounded_once(credits_: str, per_dollar: int, nanos: int) -> None:
    assert money.nanos_from_credits(Decimal(credits_), per_dollar) == nanos


@given(st.decimals(0, 10**8, allow_nan=False, allow_infinity=False, places=12), st.integers(1, 10**6))
def test_credits_agree_with_exact_fractions(credits_: Decimal, per_dollar: int) -> None:
    exact = Fraction(credits_) * 10**9 / per_dollar
    nanos = money.nanos_from_credits(credits_, per_dollar)
    assert abs(nanos - exact) <= Fraction(1, 2)
    assert abs(nanos - exact) < Fraction(1, 2) or nanos % 2 == 0


@given(st.integers(-(10**18), 10**18))
def test_decimal_dollars_convert_back_without_loss(nanos: int) -> None:
    assert money.nanos_from_dollars(money.decimal_dollars(nanos)) == nanos


def test_dollars_are_the_nearest_floats() -> None:
    assert money.dollars(1) == 1e-9
    assert money.dollars(100_000_000) == 0.1
    assert money.dollars(-1_500_000_000) == -1.5
    assert money.dollars(2**53 + 1) == float(Fraction(2**53 + 1, 10**9))


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("250", "250"),
        ("250.00", "250"),
        ("99.50", "99.5"),
        ("1E+3", "1000"),
        ("0.010", "0.01"),
        ("100", "100"),
    ],
)
def test_a_plain_amount_has_no_exponent_and_no_trailing_zeros(amount: str, text: str) -> None:
    assert money.plain(Decimal(amount)) == text


@pytest.mark.parametrize(
    ("percent", "state"),
    [
        ("-5", "green"),
        ("0", "green"),
        ("79.999", "green"),
        ("79.999999999", "green"),
        ("80", "yellow"),
        ("99.97", "yellow"),
        ("99.999", "yellow"),
        ("99.999999999", "yellow"),
        ("100", "red"),
        ("100.001", "red"),
        ("100000", "red"),
    ],
)
def test_the_budget_state_changes_at_exactly_80_and_100_percent(percent: str, state: str) -> None:
    spend = money.nanos_from_dollars(Decimal(percent))
    assert money.budget_state(spend, LIMIT) == state


def test_the_budget_state_is_decided_on_integers_where_floats_would_round_up() -> None:
    limit = 10**18
    spend = limit - 1
    assert spend * 100 / limit == 100.0
    assert money.budget_state(spend, limit) == "yellow"
    assert money.budget_state(limit * 8 // 10 - 1, limit) == "green"


@pytest.mark.parametrize(
    ("percent", "cut"),
    [
        ("99.97", "99.9"),
        ("99.999999999", "99.9"),
        ("100", "100.0"),
        ("79.999", "79.9"),
        ("80", "80.0"),
        ("0.09", "0.0"),
        ("0", "0.0"),
        ("-0.19", "-0.1"),
        ("-99.97", "-99.9"),
        ("12345.67", "12345.6"),
    ],
)
def test_a_budgets_percentage_is_cut_towards_zero(percent: str, cut: str) -> None:
    spend = money.nanos_from_dollars(Decimal(percent))
    assert str(money.cut_percent(spend, LIMIT)) == cut


def test_a_share_of_nothing_is_zero() -> None:
    assert money.percent(5, 0) == 0.0
    assert money.percent(5, -1) == 0.0


def test_a_share_may_be_negative_or_above_100() -> None:
    assert money.percent(-1, 4) == -25.0
    assert money.percent(6, 4) == 150.0
    assert money.percent(1, 3) == pytest.approx(100 / 3)


def test_a_budgets_percentage_is_not_capped() -> None:
    assert money.budget_percent(3 * LIMIT, LIMIT) == 300.0
    assert money.budget_percent(-LIMIT // 4, LIMIT) == -25.0
