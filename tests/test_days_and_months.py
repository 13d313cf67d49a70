"""In every answer, each event counts in exactly one day and one month of the billing zone."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.urls import reverse

from products import tokens
from products.models import Project
from tests.calls import call
from tests.factories import ProjectFactory, fields

pytestmark = pytest.mark.usefixtures("clock")

ZONES = ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/New_York", "Europe/Berlin")
FIRST_DAYS = (
    *(date(2024, 2, 29), date(2024, 3, 1)),  # a leap day and the month after it
    *(date(2025, 1, 1), date(2025, 3, 1)),
    *(date(2025, 3, 9), date(2025, 3, 10)),  # New York's day of 23 hours
    *(date(2025, 3, 30), date(2025, 3, 31)),  # Berlin's
    *(date(2025, 11, 2), date(2025, 11, 3)),  # New York's day of 25 hours
    date(2026, 3, 1),
)
TICK = timedelta(microseconds=1)
MONTHS = [f"{year}-{month:02}" for year in (2024, 2025, 2026) for month in range(1, 13)][1:27]
"""From the first event's month to the current one."""


def events(zone: str) -> list[tuple[date, dict[str, Any]]]:
    """Events at the last microsecond before each of `FIRST_DAYS` and at its first, with their days.

    Each costs twice as much as the one before, so that a sum shows which events it contains.
    """
    found: list[tuple[date, dict[str, Any]]] = []
    for first in FIRST_DAYS:
        midnight = datetime.combine(first, time(), ZoneInfo(zone)).astimezone(ZoneInfo("UTC"))
        for day, instant in ((first - timedelta(days=1), midnight - TICK), (first, midnight)):
            name, cost = f"e{len(found)}", str(2 ** len(found) / 100)
            found.append((day, fields(eventId=name, occurredAt=instant.isoformat(), costDollars=cost)))
    return found


def sums(events: list[tuple[date, dict[str, Any]]], key: Callable[[date], str]) -> Counter[str]:
    costs: Counter[str] = Counter()
    for day, event in events:
        costs[key(day)] += round(float(event["costDollars"]) * 100)
    return costs


def month_of(day: date) -> str:
    return day.isoformat()[:7]


@pytest.fixture(params=ZONES)
def project(request: pytest.FixtureRequest, owner: Any) -> Project:
    return ProjectFactory(owner=owner, time_zone=request.param)


def test_each_event_is_in_one_day_and_one_month_of_every_answer(project: Project, client: Client) -> None:
    sent = events(project.time_zone)
    ingest = tokens.issue(project.owner, project=project, scope="ingest")[1]
    body = json.dumps([event for _, event in sent])
    response = client.post(
        "/api/v1/usage", body, content_type="application/json", headers={"Authorization": f"Bearer {ingest}"}
    )
    assert response.json()["recorded"] == len(sent)
    client.force_login(project.owner)

    def ask(name: str, **given: Any) -> Any:
        return call(client, "trpc", f"aiCost.{name}", {"projectId": str(project.pk), **given}).data

    def cents(cost: float) -> int:
        return round(cost * 100)

    by_month, by_day = sums(sent, month_of), sums(sent, date.isoformat)
    assert {month: cents(ask("getMonthlySummary", month=month)["totalCost"]) for month in MONTHS} == {
        month: by_month[month] for month in MONTHS
    }
    for last in MONTHS[5::6]:
        for row in ask("getMonthlyTrend", month=last):
            assert cents(row["cost"]) == by_month[row["month"]]
    days = {row["date"]: row for month in MONTHS[1::2] for row in ask("getDailySpend", days=90, month=month)}
    assert {day: cents(row["cost"]) for day, row in days.items() if row["cost"]} == by_day
    for month in by_month:
        names = [event["eventId"] for day, event in sent if month_of(day) == month]
        assert ledger_of(client, project, month) == names


def ledger_of(client: Client, project: Project, month: str) -> list[str]:
    """The event ids in a month's export, by time."""
    response = client.get(reverse("export-ledger", args=[project.pk]), {"month": month})
    lines = b"".join(response.streaming_content).decode().splitlines()
    return [line.partition(",")[0] for line in lines[1:-1]]
