"""The forecast of a month's spend: the calculation, the queries for it, and what the pages say."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html import unescape
from math import sqrt
from statistics import stdev
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import example, given
from hypothesis import strategies as st

from aicost import queries
from billing import periods
from billing.budgets import forecast, limits
from billing.budgets.forecast import Days, Forecast, NotYet
from billing.money import NANOS_PER_DOLLAR as DOLLAR
from tests.conftest import NOW
from tests.factories import event, send

MARCH_17 = date(2026, 3, 17)
LAST_OF_MARCH = date(2026, 3, 31)


def days_of(first: date, last: date, dollars: int) -> dict[date, int]:
    return dict.fromkeys(periods.days_between(first, last), dollars * DOLLAR)


def forecast_of(days: Days, today: date, elapsed: float = 1.0, limit: int | None = None) -> Forecast:
    found = forecast.forecast(days, today, elapsed, limit)
    assert isinstance(found, Forecast)
    return found


# ---- The calculation


def test_equal_days_continue_as_they_were_and_leave_no_range() -> None:
    found = forecast_of(days_of(date(2026, 2, 1), MARCH_17, 10), MARCH_17)
    assert found == Forecast(170 * DOLLAR, 310 * DOLLAR, 310 * DOLLAR, 310 * DOLLAR, None)


def test_only_the_elapsed_part_of_today_counts() -> None:
    days = days_of(date(2026, 2, 1), date(2026, 3, 16), 10) | {MARCH_17: 5 * DOLLAR}
    found = forecast_of(days, MARCH_17, elapsed=0.5)
    assert found.month_end == found.low == found.high == 310 * DOLLAR


def test_a_months_first_week_is_judged_by_the_seven_days_up_to_now() -> None:
    days = days_of(date(2026, 1, 10), date(2026, 2, 23), 50) | days_of(date(2026, 2, 25), date(2026, 3, 2), 7)
    days[date(2026, 2, 24)] = 49 * DOLLAR
    assert forecast_of(days, date(2026, 3, 2)).month_end == (2 * 7 + 29 * 13) * DOLLAR


def test_a_month_is_judged_by_itself_from_its_second_week_on() -> None:
    days = days_of(date(2026, 1, 10), date(2026, 2, 28), 50) | days_of(date(2026, 3, 1), date(2026, 3, 8), 7)
    assert forecast_of(days, date(2026, 3, 8)).month_end == 7 * 31 * DOLLAR


def test_days_before_the_first_spend_do_not_lower_the_average() -> None:
    found = forecast_of(days_of(date(2026, 3, 11), MARCH_17, 10), MARCH_17)
    assert found.month_end == (7 + 14) * 10 * DOLLAR


def test_days_without_spend_after_the_first_count() -> None:
    days = {date(2026, 3, 10): 10 * DOLLAR, date(2026, 3, 12): 10 * DOLLAR, MARCH_17: 20 * DOLLAR}
    assert forecast_of(days, MARCH_17).month_end == 40 * DOLLAR + 14 * 5 * DOLLAR


def test_nothing_is_left_to_forecast_on_the_last_evening() -> None:
    days = days_of(date(2026, 3, 20), date(2026, 3, 29), 3) | {LAST_OF_MARCH: 40 * DOLLAR}
    found = forecast_of(days, LAST_OF_MARCH, limit=1000 * DOLLAR)
    assert found == Forecast(70 * DOLLAR, 70 * DOLLAR, 70 * DOLLAR, 70 * DOLLAR, None)


@pytest.mark.parametrize(("month", "days"), [(date(2024, 2, 9), 29), (date(2026, 2, 9), 28), (MARCH_17, 31)])
def test_a_month_has_its_own_length(month: date, days: int) -> None:
    assert forecast_of(days_of(date(2023, 12, 1), month, 1), month).month_end == days * DOLLAR


def test_a_range_widens_with_the_remaining_days_and_their_spread() -> None:
    def width(spread: int, today: date) -> int:
        days = {
            day: (20 + spread * (day.day % 3 - 1)) * DOLLAR
            for day in periods.days_between(date(2026, 2, 1), today)
        }
        found = forecast_of(days, today)
        return found.high - found.low

    assert width(2, date(2026, 3, 28)) < width(2, date(2026, 3, 10)) < width(6, date(2026, 3, 10))


def test_the_range_is_the_interval_of_the_average_method() -> None:
    days = {day: (8 + 4 * (day.day % 2)) * DOLLAR for day in periods.days_between(date(2026, 2, 1), MARCH_17)}
    found = forecast_of(days, MARCH_17)
    student = 1.337  # of 16 degrees of freedom, at 90 percent
    margin = student * stdev(days.values()) * sqrt(14 + 14 * 14 / 17)
    assert found.high - found.month_end == pytest.approx(margin, rel=0.01)
    assert found.month_end - found.low == pytest.approx(margin, rel=0.01)


def test_busy_days_in_a_row_say_less_than_the_same_days_mixed() -> None:
    def width(costs: list[int]) -> int:
        days = {MARCH_17 - timedelta(days=back): cost * DOLLAR for back, cost in enumerate(costs)}
        found = forecast_of(days, MARCH_17)
        return found.high - found.low

    assert width([5, 5, 5, 5, 1, 1, 1, 1] * 4) > width([5, 1, 5, 1, 5, 1, 5, 1] * 4)


def test_refunds_above_the_spend_never_forecast_money_back() -> None:
    days = days_of(date(2026, 3, 2), date(2026, 3, 6), 10) | {date(2026, 3, 9): -80 * DOLLAR}
    found = forecast_of(days, MARCH_17)
    assert (found.spent, found.month_end, found.low) == (-30 * DOLLAR,) * 3
    assert found.high > found.low


@pytest.mark.parametrize("number", [0, 1, 2])
def test_fewer_than_three_days_with_spend_allow_no_forecast(number: int) -> None:
    days = days_of(date(2026, 3, 10), date(2026, 3, 9 + number), 10) if number else {}
    days |= {date(2026, 3, 15): 0, date(2026, 3, 16): -5 * DOLLAR}
    assert forecast.forecast(days, MARCH_17, 0.5) == NotYet(number)


def test_three_days_with_spend_are_enough_even_all_in_the_month_before() -> None:
    assert forecast_of(days_of(date(2026, 2, 26), date(2026, 2, 28), 9), date(2026, 3, 1), 0.5).month_end > 0


def test_days_older_than_eight_weeks_do_not_count() -> None:
    first = forecast.first_day(MARCH_17)
    assert first == date(2026, 1, 21)
    assert forecast.forecast(
        days_of(date(2025, 1, 1), first + timedelta(days=1), 9), MARCH_17, 1.0
    ) == NotYet(2)


@pytest.mark.parametrize(
    ("limit", "day"),
    [
        (100, date(2026, 3, 10)),  # reached already, on that day
        (170, MARCH_17),
        (171, date(2026, 3, 18)),
        (200, date(2026, 3, 20)),
        (310, LAST_OF_MARCH),
        (311, None),
    ],
)
def test_the_limit_is_passed_on_the_day_that_reaches_it(limit: int, day: date | None) -> None:
    days = days_of(date(2026, 2, 1), MARCH_17, 10)
    assert forecast_of(days, MARCH_17, limit=limit * DOLLAR).limit_passed_on == day


def test_a_limit_that_is_exactly_reached_is_passed_on_that_day() -> None:
    days = days_of(date(2026, 2, 1), date(2026, 3, 10), 10)
    assert forecast_of(days, MARCH_17, limit=100 * DOLLAR).limit_passed_on == date(2026, 3, 10)


def test_a_limit_that_a_refund_restored_was_passed_when_spend_last_reached_it() -> None:
    days = {date(2026, 3, 2): 50, date(2026, 3, 3): -40, date(2026, 3, 5): 35, date(2026, 3, 6): 5}
    assert forecast_of(days, MARCH_17, limit=45).limit_passed_on == date(2026, 3, 5)


histories = st.lists(st.integers(0, 10**13), min_size=3, max_size=90)
signed = st.lists(st.integers(-(10**12), 10**13), min_size=3, max_size=90)
todays = st.dates(date(2020, 1, 1), date(2030, 12, 31))
elapsed_parts = st.floats(0, 1)


def ending(today: date, costs: list[int]) -> dict[date, int]:
    return dict(zip(periods.days_ending(today, len(costs)), costs, strict=True))


@given(signed, todays, elapsed_parts, st.integers(1, 10**15))
@example([5, 0, 0, 5, 5], date(2024, 2, 29), 1.0, 1)
@example([1, 1, 1], date(2026, 1, 1), 0.0, 3)
def test_what_is_true_of_every_forecast(costs: list[int], today: date, elapsed: float, limit: int) -> None:
    days = ending(today, costs)
    found = forecast.forecast(days, today, elapsed, limit)
    assert found == forecast.forecast(dict(reversed(days.items())), today, elapsed, limit)
    if isinstance(found, NotYet):
        assert found.days_with_spend < forecast.NEEDED
        return
    spent = sum(cost for day, cost in days.items() if periods.month_of(day) == periods.month_of(today))
    assert found.spent == spent <= found.low <= found.month_end <= found.high
    passed = found.limit_passed_on
    assert (passed is not None) == (found.month_end >= limit)
    if passed:
        assert periods.month_of(passed) == periods.month_of(today)
        assert passed <= today if spent >= limit else passed >= today


@given(histories, todays, elapsed_parts, st.integers(2, 1000))
def test_twice_the_spend_is_twice_the_forecast(
    costs: list[int], today: date, elapsed: float, times: int
) -> None:
    single = forecast.forecast(ending(today, costs), today, elapsed)
    many = forecast.forecast(ending(today, [cost * times for cost in costs]), today, elapsed)
    if isinstance(single, NotYet) or isinstance(many, NotYet):
        assert single == many
        return
    for name in ("spent", "month_end", "low", "high"):
        assert getattr(many, name) == pytest.approx(times * getattr(single, name), rel=1e-9, abs=times)


def test_it_beats_the_straight_line_if_the_month_before_shows_the_pace() -> None:
    """With five busy days and two quiet ones a week, a month's first days predict the rest badly."""
    days = {
        day: (2 if day.weekday() > 4 else 12) * DOLLAR
        for day in periods.days_between(date(2026, 2, 1), LAST_OF_MARCH)
    }
    total = sum(cost for day, cost in days.items() if day.month == 3)
    ours, line = 0, 0.0
    for today in periods.days_between(date(2026, 3, 1), date(2026, 3, 30)):
        known = {day: cost for day, cost in days.items() if day <= today}
        found = forecast_of(known, today)
        ours += abs(found.month_end - total)
        line += abs(found.spent / today.day * 31 - total)
    assert ours < 0.8 * line


@pytest.mark.parametrize(
    ("instant", "zone", "part"),
    [
        (datetime(2026, 3, 17, 12, tzinfo=UTC), "UTC", 0.5),
        (datetime(2026, 3, 17, tzinfo=UTC), "UTC", 0.0),
        (datetime(2026, 3, 8, 16, tzinfo=UTC), "America/New_York", 11 / 23),
        (datetime(2026, 11, 1, 17, tzinfo=UTC), "America/New_York", 13 / 25),
    ],
)
def test_the_elapsed_part_of_a_day_is_relative_to_its_own_length(
    instant: datetime, zone: str, part: float
) -> None:
    assert periods.part_of_day(instant, ZoneInfo(zone)) == pytest.approx(part)


# ---- Queries


@pytest.fixture
def used(project: Any, clock: Any) -> Any:
    """Ten dollars a day since February, five today by noon; jobs of two agent types at 10 dollars each."""
    send(project, *_even_days(44))
    project.refresh_from_db()
    return project


def _even_days(number: int) -> Iterator[Any]:
    yield event(occurredAt=NOW.isoformat(), costDollars="5", agentType="testing", runId="today")
    for back in range(1, number + 1):
        at = (NOW - timedelta(days=back)).isoformat()
        kind = "testing" if back % 2 else "research"
        yield event(occurredAt=at, costDollars="10", agentType=kind, runId=f"run-{back}")


def _running(run: str, kind: str = "testing", **more: Any) -> Any:
    return event(kind="job", runId=run, jobId="job", agentType=kind, jobStatus="running", **more)


def read(project: Any) -> queries.BudgetForecast:
    return queries.budget_forecast(project, queries.month_summary(project))


def limited(project: Any, dollars: str) -> Any:
    limits.set_limit(project, Decimal(dollars), by=project.owner)
    return project


@pytest.mark.django_db
def test_the_forecast_reads_the_days_of_the_rollup(used: Any) -> None:
    found = read(limited(used, "200"))
    assert found.month == date(2026, 3, 1)
    assert isinstance(found.outlook, Forecast)
    assert found.outlook.spent == 165 * DOLLAR
    assert found.outlook.month_end == 310 * DOLLAR
    assert found.outlook.limit_passed_on == date(2026, 3, 20)
    assert found.passes_limit
    assert (found.running.jobs, found.running.exposure) == (0, 0)


@pytest.mark.django_db
def test_running_jobs_count_at_the_usual_cost_of_their_agent_type(used: Any) -> None:
    send(used, _running("a"), _running("b", "research"), _running("c", "research"), _running("d", "design"))
    running = read(used).running
    usual = {agent.agent_type: agent for agent in queries.month_summary(used).agents}
    before = {agent.agent_type: agent for agent in queries.month_summary(used, date(2026, 2, 1)).agents}

    def cost(kind: str) -> int:
        both = (usual[kind], before[kind])
        return sum(one.cost for one in both) // sum(one.jobs for one in both)

    assert running.jobs == 4
    assert running.exposure == cost("testing") + 2 * cost("research")


@pytest.mark.django_db
def test_a_job_silent_for_a_day_is_lost_and_a_finished_one_is_done(used: Any) -> None:
    silent = (NOW - timedelta(hours=24, seconds=1)).isoformat()
    heard = (NOW - timedelta(hours=23, minutes=59)).isoformat()
    send(used, _running("silent", occurredAt=silent), _running("heard", occurredAt=heard), _running("done"))
    send(used, event(kind="job", runId="done", jobId="job", jobStatus="succeeded"))
    assert read(used).running.jobs == 1


@pytest.mark.django_db
def test_the_cost_of_a_type_without_finished_jobs_is_unknown(project: Any, clock: Any) -> None:
    send(project, _running("a"))
    running = read(project).running
    assert (running.jobs, running.exposure) == (1, None)


@pytest.mark.django_db
def test_running_jobs_of_others_are_not_counted(used: Any, other_project: Any) -> None:
    send(other_project, _running("theirs"))
    assert read(used).running.jobs == 0


@pytest.mark.django_db
def test_a_forecast_runs_two_queries_whatever_the_amount_of_data(used: Any) -> None:
    send(used, *[_running(f"run/{number}", kind) for number, kind in enumerate(("testing", "design") * 9)])
    summary = queries.month_summary(used)
    with CaptureQueriesContext(connection) as asked:
        queries.budget_forecast(used, summary)
    assert len(asked) == 2  # days, running jobs
    with CaptureQueriesContext(connection) as asked:
        queries.month_page(used, 7)
    assert len(asked) == 4  # limits, days, month, running jobs


@pytest.mark.django_db
def test_running_jobs_are_found_by_their_index(used: Any) -> None:
    with CaptureQueriesContext(connection) as asked:
        read(used)
    [question] = [one["sql"] for one in asked if "agentjob" in one["sql"]]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")  # few rows: else any plan would do
        cursor.execute(
            ("EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN ") + question
        )
        plan = str(cursor.fetchall())
    assert "job_running" in plan


# ---- What the pages say


pages = pytest.mark.parametrize("page", ["ai-cost", "budget"])


def page_text(project: Any, page: str = "ai-cost", query: str = "") -> str:
    client = Client()
    client.force_login(project.owner)
    response = client.get(reverse(page, args=[project.pk]) + query)
    assert response.status_code == 200
    return unescape(response.content.decode())


def mark(page: str) -> dict[str, float]:
    """Positions on the bar, in percent."""
    [bar] = re.findall(r'<div class="budget-chart".*?</div>', page, re.DOTALL)
    found = {
        "spent": r'class="fill" width="([\d.]+)%',
        "low": r'class="range" x="([\d.]+)%',
        "range": r'class="range" x="[\d.]+%" width="([\d.]+)%',
        "month_end": r'class="budget-mark"><svg x="([\d.]+)%',
        "limit": r'class="limit" x1="([\d.]+)%',
    }
    matches = {name: re.search(pattern, bar) for name, pattern in found.items()}
    return {name: float(match[1]) for name, match in matches.items() if match}


@pages
@pytest.mark.django_db
def test_a_forecast_within_the_limit_is_marked_on_the_bar(used: Any, page: str) -> None:
    said = page_text(limited(used, "620"), page)
    assert "Forecast $310.00 by 31 March" in said
    assert "At this pace spend stays within the limit." in said
    assert "On track" in said
    marks = mark(said)
    assert marks["month_end"] == pytest.approx(50)
    assert marks["spent"] == pytest.approx(16500 / 620, rel=1e-3)
    assert marks["low"] <= marks["month_end"] <= marks["low"] + marks["range"]
    assert "limit" not in marks


@pages
@pytest.mark.django_db
def test_a_limit_that_will_be_passed_is_named_with_its_day_and_marked(used: Any, page: str) -> None:
    said = page_text(limited(used, "240"), page)
    assert "At this pace spend passes the limit on 24 March." in said
    assert "Within the limit so far" in said
    assert "On track" not in said
    marks = mark(said)
    assert 50 <= marks["limit"] < marks["month_end"] <= 100


@pytest.mark.django_db
def test_the_page_says_when_a_limit_was_reached(used: Any) -> None:
    said = page_text(limited(used, "125"))
    assert "is-red" in said
    assert "The limit was reached on 13 March." in said
    assert "passes the limit on" not in said


@pytest.mark.django_db
def test_a_forecast_far_above_the_limit_is_at_the_end_of_the_bar(used: Any) -> None:
    marks = mark(page_text(limited(used, "20")))
    assert marks == {"spent": 100, "low": 100, "range": 0, "month_end": 100, "limit": 50}


@pytest.mark.django_db
def test_the_page_names_a_range_that_exceeds_the_limit(project: Any, clock: Any) -> None:
    for back in range(40):
        at = (NOW - timedelta(days=back)).isoformat()
        send(project, event(occurredAt=at, costDollars=("1", "19")[back % 2], runId=f"run-{back}"))
    found = read(project).outlook
    assert isinstance(found, Forecast)
    limit = (found.month_end + found.high) // 2 // DOLLAR
    assert "spend stays within the limit, but the range extends beyond it" in page_text(
        limited(project, str(limit))
    )


@pages
@pytest.mark.django_db
def test_without_a_limit_there_is_only_the_forecast(used: Any, page: str) -> None:
    said = page_text(used, page)
    assert "Forecast $310.00 by 31 March" in said
    assert "At this pace" not in said
    assert "No monthly limit is set." in said
    assert "budget-chart" not in said


@pages
@pytest.mark.django_db
def test_the_page_says_that_data_are_missing_instead_of_guessing(project: Any, clock: Any, page: str) -> None:
    limited(project, "100")
    assert "No forecast yet. A forecast needs 3 days with spend; none so far." in page_text(project, page)
    send(project, event(costDollars="1"))
    said = page_text(project, page)
    assert "No forecast yet. A forecast needs 3 days with spend; 1 so far." in said
    assert mark(said).keys() == {"spent"}


@pages
@pytest.mark.django_db
def test_the_page_describes_the_method(used: Any, page: str) -> None:
    said = page_text(used, page)
    assert "How this is forecast" in said
    assert "the average day of this month so far" in said
    assert "Hyndman and Athanasopoulos" in said


@pytest.mark.django_db
def test_the_page_names_running_jobs_with_their_usual_cost(used: Any) -> None:
    send(used, _running("a", "research"), _running("b", "research"))
    assert "2 jobs are running; at the usual cost of such jobs, that adds about $20.00." in page_text(used)
    send(used, event(kind="job", runId="a", jobId="job", jobStatus="succeeded"))
    assert "1 job is running; " in page_text(used)


@pytest.mark.django_db
def test_the_cost_of_unknown_agent_types_is_not_guessed(used: Any) -> None:
    send(used, _running("a", "design"))
    assert "1 job is running; the usual cost of such jobs is not known yet." in page_text(used)


@pytest.mark.django_db
def test_past_months_are_not_forecast(used: Any) -> None:
    said = page_text(limited(used, "100"), query="?month=2026-02")
    assert "orecast" not in said
    assert "budget-mark" not in said


@pytest.mark.django_db
def test_an_unused_product_shows_no_forecast(project: Any, clock: Any) -> None:
    assert "orecast" not in page_text(project)
