"""Calendar months and days in a billing zone. A month is the `date` of its first day. Pure."""

import calendar
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

EARLIEST_MONTH = date(2000, 1, 1)
DAY_RANGES = (7, 14, 30, 90)
TREND_MONTHS = 6

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)


@cache
def zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def day_of(instant: datetime, tz: ZoneInfo) -> date:
    """The calendar day in `tz` that an aware instant falls on."""
    return instant.astimezone(tz).date()


def part_of_day(instant: datetime, tz: ZoneInfo) -> float:
    """The elapsed part of the instant's calendar day in `tz`, from 0 to 1. Days may have 23 or 25 hours."""
    day = day_of(instant, tz)
    start, end = (
        datetime.combine(midnight, time.min, tz).astimezone(UTC)
        for midnight in (day, day + timedelta(days=1))
    )
    return (instant - start) / (end - start)


def month_of(day: date) -> date:
    return day.replace(day=1)


def parse_month(text: str) -> date:
    """`YYYY-MM` → its first day. Raises `ValueError` for anything else."""
    match = _MONTH.fullmatch(text)
    if not match:
        raise ValueError(f"not a month written YYYY-MM: {text!r}")
    return date(int(match[1]), int(match[2]), 1)


def month_text(month: date) -> str:
    return f"{month.year:04}-{month.month:02}"


def shift(month: date, months: int) -> date:
    """The month `months` later, or earlier if negative."""
    index = month.year * 12 + month.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def last_day(month: date) -> date:
    return month.replace(day=calendar.monthrange(month.year, month.month)[1])


def months_ending(month: date, count: int) -> list[date]:
    """`count` months ending with `month`, oldest first."""
    return [shift(month, -back) for back in range(count - 1, -1, -1)]


def days_ending(last: date, count: int) -> list[date]:
    """`count` days ending with `last`, oldest first."""
    return [last - timedelta(days=back) for back in range(count - 1, -1, -1)]


def days_between(first: date, last: date) -> Iterator[date]:
    """Every day from `first` to `last`, both included."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def same_days_before(month: date, today: date) -> tuple[date, date]:
    """The first and last day of the previous month's part that a KPI is compared with.

    In the current month, these are day 1 and today's day of the month, or the last day if the previous month
    is shorter. For a past month, the whole previous month.
    """
    before = shift(month, -1)
    end = last_day(before)
    if month == month_of(today):
        end = before.replace(day=min(today.day, end.day))
    return before, end


def month_end(month: date, tz: ZoneInfo) -> datetime:
    """The first instant after the month, in UTC: 00:00 of the next month's first day in `tz`."""
    return datetime.combine(shift(month, 1), time.min, tz).astimezone(UTC)
