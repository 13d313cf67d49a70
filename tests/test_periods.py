"""Months and days in a billing zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import periods

pytestmark = pytest.mark.once

KIRITIMATI = ZoneInfo("Pacific/Kiritimati")  # UTC+14
PAGO_PAGO = ZoneInfo("Pacific/Pago_Pago")  # UTC−11
NEW_YORK = ZoneInfo("America/New_York")
ASUNCION = ZoneInfo("America/Asuncion")
TICK = timedelta(microseconds=1)

months = st.dates(date(2000, 1, 1), date(2199, 12, 31)).map(periods.month_of)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("instant", "zone", "day"),
    [
        (utc(2026, 1, 31, 9, 59, 59, 999999), KIRITIMATI, date(2026, 1, 31)),
        (utc(2026, 1, 31, 10), KIRITIMATI, date(2026, 2, 1)),
        (utc(2026, 2, 1, 10, 59, 59, 999999), PAGO_PAGO, date(2026, 1, 31)),
        (utc(2026, 2, 1, 11), PAGO_PAGO, date(2026, 2, 1)),
        (utc(2024, 2, 29, 23, 59, 59, 999999), ZoneInfo("UTC"), date(2024, 2, 29)),
        (utc(2024, 3, 1), ZoneInfo("UTC"), date(2024, 3, 1)),
        # New York's days of 23 and 25 hours
        (utc(2026, 3, 8, 4, 59, 59, 999999), NEW_YORK, date(2026, 3, 7)),
        (utc(2026, 3, 8, 5), NEW_YORK, date(2026, 3, 8)),
        (utc(2026, 3, 9, 3, 59, 59, 999999), NEW_YORK, date(2026, 3, 8)),
        (utc(2026, 3, 9, 4), NEW_YORK, date(2026, 3, 9)),
        (utc(2026, 11, 1, 4), NEW_YORK, date(2026, 11, 1)),
        (utc(2026, 11, 2, 4, 59, 59, 999999), NEW_YORK, date(2026, 11, 1)),
        (utc(2026, 11, 2, 5), NEW_YORK, date(2026, 11, 2)),
    ],
)
def test_an_instant_falls_on_one_day_of_the_zone(instant: datetime, zone: ZoneInfo, day: date) -> None:
    assert periods.day_of(instant, zone) == day


def test_a_month_is_written_with_its_year() -> None:
    assert periods.parse_month("2026-02") == date(2026, 2, 1)
    assert periods.month_text(date(2026, 2, 1)) == "2026-02"
    assert periods.month_text(date(987, 2, 1)) == "0987-02"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "2026-2",
        "2026-00",
        "2026-13",
        "2026-02-01",
        "26-02",
        " 2026-02",
        "2026-02\n",
        "２０２６-02",
        "2026/02",
    ],
)
def test_an_invalid_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="YYYY-MM"):
        periods.parse_month(text)


def test_shifting_crosses_years_both_ways() -> None:
    assert periods.shift(date(2026, 1, 1), -1) == date(2025, 12, 1)
    assert periods.shift(date(2025, 12, 1), 1) == date(2026, 1, 1)
    assert periods.shift(date(2026, 3, 1), -27) == date(2023, 12, 1)
    assert periods.shift(date(2026, 3, 1), 0) == date(2026, 3, 1)


@given(months, st.integers(-500, 500))
def test_shifting_back_returns_to_the_same_month(month: date, by: int) -> None:
    assert periods.shift(periods.shift(month, by), -by) == month


def test_february_ends_by_the_leap_year_rule() -> None:
    assert periods.last_day(date(2024, 2, 1)) == date(2024, 2, 29)
    assert periods.last_day(date(2026, 2, 1)) == date(2026, 2, 28)
    assert periods.last_day(date(2100, 2, 1)) == date(2100, 2, 28)
    assert periods.last_day(date(2000, 2, 1)) == date(2000, 2, 29)
    assert periods.last_day(date(2026, 12, 1)) == date(2026, 12, 31)


def test_a_trend_has_six_months_oldest_first() -> None:
    assert [periods.month_text(month) for month in periods.months_ending(date(2026, 2, 1), 6)] == [
        *("2025-09", "2025-10", "2025-11", "2025-12", "2026-01", "2026-02")
    ]


def test_a_daily_range_ends_with_its_last_day() -> None:
    days = periods.days_ending(date(2024, 3, 2), 7)
    assert days[0] == date(2024, 2, 25)
    assert days[-3:] == [date(2024, 2, 29), date(2024, 3, 1), date(2024, 3, 2)]
    assert len(periods.days_ending(date(2024, 3, 2), 90)) == 90


def test_days_between_includes_both_ends() -> None:
    assert list(periods.days_between(date(2024, 2, 28), date(2024, 3, 1))) == [
        *(date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1))
    ]
    assert list(periods.days_between(date(2024, 3, 1), date(2024, 3, 1))) == [date(2024, 3, 1)]


@pytest.mark.parametrize(
    ("month", "today", "first", "last"),
    [
        (date(2026, 3, 1), date(2026, 3, 17), date(2026, 2, 1), date(2026, 2, 17)),
        (date(2026, 3, 1), date(2026, 3, 1), date(2026, 2, 1), date(2026, 2, 1)),
        (date(2026, 3, 1), date(2026, 3, 31), date(2026, 2, 1), date(2026, 2, 28)),
        (date(2024, 3, 1), date(2024, 3, 30), date(2024, 2, 1), date(2024, 2, 29)),
        (date(2026, 1, 1), date(2026, 1, 31), date(2025, 12, 1), date(2025, 12, 31)),
        # a past month is compared with the whole month before it
        (date(2026, 2, 1), date(2026, 3, 17), date(2026, 1, 1), date(2026, 1, 31)),
        (date(2025, 3, 1), date(2026, 3, 17), date(2025, 2, 1), date(2025, 2, 28)),
    ],
)
def test_a_month_is_compared_with_the_same_days_of_the_month_before(
    month: date, today: date, first: date, last: date
) -> None:
    assert periods.same_days_before(month, today) == (first, last)


@pytest.mark.parametrize(
    ("month", "zone", "end"),
    [
        (date(2026, 1, 1), ZoneInfo("UTC"), utc(2026, 2, 1)),
        (date(2026, 1, 1), KIRITIMATI, utc(2026, 1, 31, 10)),
        (date(2026, 1, 1), PAGO_PAGO, utc(2026, 2, 1, 11)),
        (date(2024, 2, 1), NEW_YORK, utc(2024, 3, 1, 5)),
        (date(2026, 3, 1), NEW_YORK, utc(2026, 4, 1, 4)),
        (date(2026, 12, 1), NEW_YORK, utc(2027, 1, 1, 5)),
        # On 1 October 2017, Paraguay's clocks went from 23:59 straight to 01:00
        (date(2017, 9, 1), ASUNCION, utc(2017, 10, 1, 4)),
    ],
)
def test_a_month_ends_when_the_next_begins(month: date, zone: ZoneInfo, end: datetime) -> None:
    assert periods.month_end(month, zone) == end


@given(months, st.sampled_from([KIRITIMATI, PAGO_PAGO, NEW_YORK, ASUNCION, ZoneInfo("Asia/Kathmandu")]))
def test_each_instant_is_in_exactly_one_month(month: date, zone: ZoneInfo) -> None:
    end = periods.month_end(month, zone)
    assert periods.day_of(end - TICK, zone) == periods.last_day(month)
    assert periods.day_of(end, zone) == periods.shift(month, 1)
