"""Numbers, money and dates as the pages print them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from aicost.formatting import text
from aicost.presentation import axis
from products import colors

pytestmark = pytest.mark.once

DOLLAR = 10**9
ROOT = Path(__file__).parents[1]


def test_money_from_a_dollar_up_has_two_decimals() -> None:
    assert text.money(1_234_560_000_000) == "$1,234.56"
    assert text.money(DOLLAR) == "$1.00"
    assert text.money(12_345_000_000) == "$12.34"  # half to even
    assert text.money(0) == "$0.00"


def test_money_below_a_dollar_keeps_the_digits_it_needs() -> None:
    assert text.money(DOLLAR // 2) == "$0.50"
    assert text.money(825_000_000) == "$0.8250"
    assert text.money(4_200_000) == "$0.0042"
    assert text.money(18_000) == "$0.000018"
    assert text.money(1) == "$0.000000001"
    assert text.money(999_990_000) == "$1.00"


@pytest.mark.parametrize("exponent", range(19))
def test_only_zero_reads_as_zero(exponent: int) -> None:
    assert set(text.money(10**exponent)) & set("123456789")


def test_negative_money_has_a_minus_sign_not_a_hyphen() -> None:
    assert text.money(-1_200_000_000) == "\u2212$1.20"
    assert text.money(-7_500_000) == "\u2212$0.0075"


def test_short_money_for_axes() -> None:
    assert text.money_short(0) == "$0"
    assert text.money_short(250 * DOLLAR) == "$250"
    assert text.money_short(DOLLAR // 2) == "$0.50"
    assert text.money_short(1_250 * DOLLAR) == "$1.25K"
    assert text.money_short(2_000_000 * DOLLAR) == "$2M"


def test_compact_counts() -> None:
    assert text.compact(0) == "0"
    assert text.compact(999) == "999"
    assert text.compact(1_000) == "1.0K"
    assert text.compact(1_234_567) == "1.2M"
    assert text.compact(999_990) == "1.0M"
    assert text.compact(999_950_000_000) == "1.0T"
    assert text.compact(-1_500) == "\u22121.5K"
    assert text.count(1_234_567) == "1,234,567"


def test_percentages() -> None:
    assert text.percent(12.44) == "12.4\u00a0%"
    assert text.percent(0) == "0.0\u00a0%"
    assert text.percent(0.01) == "<0.1\u00a0%"
    assert text.percent(-0.01) == "\u2212<0.1\u00a0%"
    assert text.percent(-3.21) == "\u22123.2\u00a0%"
    assert text.cut_percent(Decimal("99.9")) == "99.9\u00a0%"


def test_changes_have_a_sign() -> None:
    assert text.change(12.4) == "+12.4\u00a0%"
    assert text.change(-3.0, "pts") == "\u22123.0\u00a0pts"
    assert text.change(0.01) == "+<0.1\u00a0%"
    assert text.change(12345.6) == "+12,346\u00a0%"


def test_credits() -> None:
    assert text.credits(DOLLAR, 100) == "100 credits"
    assert text.credits(4_200_000, 100) == "0.42 credits"
    assert text.credits(1, 100) == "<0.01 credits"
    assert text.credits(0, 100) == "0 credits"
    assert text.credits(-DOLLAR, 1_234) == "\u22121,234 credits"


def test_days_and_months() -> None:
    assert text.day(date(2026, 11, 24)) == "24 Nov 2026"
    assert text.month(date(2026, 11, 1)) == "November 2026"
    assert text.day_span(date(2026, 10, 1), date(2026, 10, 24)) == "1–24 Oct"
    assert text.day_span(date(2026, 10, 1), date(2026, 10, 1)) == "1 Oct"
    assert text.day_span(date(2026, 10, 1), date(2026, 10, 31)) == "Oct 2026"
    assert text.day_span(date(2026, 2, 1), date(2026, 2, 28)) == "Feb 2026"
    assert text.day_span(date(2026, 10, 1), date(2026, 10, 28)) == "1–28 Oct"


def test_instants_are_printed_in_the_given_zone() -> None:
    late = datetime(2026, 11, 24, 23, 5, tzinfo=UTC)
    assert text.instant(late, ZoneInfo("UTC")) == "24 Nov 2026, 23:05"
    assert text.instant(late, ZoneInfo("Europe/Berlin")) == "25 Nov 2026, 00:05"


def test_durations_have_at_most_two_units() -> None:
    assert text.duration(0) == "0\u00a0s"
    assert text.duration(61) == "1\u00a0min 1\u00a0s"
    assert text.duration(3600) == "1\u00a0h"
    assert text.duration(90_061) == "1\u00a0d 1\u00a0h"


@pytest.mark.parametrize("highest", [1, 3, 10, 999, DOLLAR, 47_990_000_000, 60 * DOLLAR, 10**18 + 1])
def test_an_axis_has_at_most_four_steps_and_reaches_the_highest_value(highest: int) -> None:
    ticks = axis.ticks(highest)
    assert 1 <= len(ticks) - 1 <= 4
    assert ticks[0].nanos == 0
    assert ticks[-1].nanos >= highest
    assert ticks[-1].top == "0"
    assert len({tick.label for tick in ticks}) == len(ticks)


def test_an_axis_without_spend_goes_up_to_a_dollar() -> None:
    assert [tick.label for tick in axis.ticks(0)] == ["$0", "$0.25", "$0.50", "$0.75", "$1"]


def test_zero_and_negative_bars_have_no_size() -> None:
    assert axis.from_top(0, 100) == axis.from_top(-5, 100) == "100"
    assert axis.width(-5, 100) == axis.width(0, 0) == "0"
    assert axis.percent_class(-5, 100) == 0


def test_the_smallest_positive_bar_is_visible() -> None:
    assert float(axis.from_top(1, 10**12)) < 100
    assert float(axis.width(1, 10**12)) > 0
    assert axis.percent_class(1, 10**12) == 1
    assert axis.percent_class(7, 7) == 100


def _luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(color: str, background: str) -> float:
    darker, lighter = sorted((_luminance(color), _luminance(background)))
    return (lighter + 0.05) / (darker + 0.05)


def _light_and_dark() -> dict[str, tuple[str, str]]:
    pairs = {}
    for line in (ROOT / "static/css/tokens.css").read_text().splitlines():
        if line.strip().startswith(".c-"):
            name, _, rest = line.strip().removeprefix(".c-").partition(" ")
            light, dark = rest.partition("light-dark(")[2].partition(")")[0].split(", ")
            pairs[name] = (light, dark)
    return pairs


def test_the_stylesheet_has_the_named_colors() -> None:
    assert {name: light for name, (light, _) in _light_and_dark().items()} == colors.LIGHT


@pytest.mark.parametrize("name", colors.LIGHT)
def test_named_colors_have_enough_contrast_in_light_and_dark(name: str) -> None:
    light, dark = _light_and_dark()[name]
    assert _contrast(light, "#ffffff") >= 4.5
    assert _contrast(dark, "#16181d") >= 4.5
