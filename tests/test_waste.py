"""Waste, and what changed: by agent type, from the rollups, on the page, in the API and in downloads."""

import csv
import re
from datetime import date
from io import StringIO
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from aicost import queries
from aicost.api.procedures import PROCEDURES
from billing.decomposition import Work
from billing.verification import differences
from products.access import Caller
from products.models import Project
from tests.factories import event, send, usage

pytestmark = pytest.mark.usefixtures("clock")

FEBRUARY, MARCH = date(2026, 2, 1), date(2026, 3, 1)


def at(day: int, month: int = 3) -> str:
    return f"2026-{month:02}-{day:02}T10:00:00Z"


def worked(project: Project, job: str, cost: str, status: str, day: str = at(10), **fields: Any) -> None:
    """A job of one deduction that ended so."""
    of_job = {"runId": "r", "jobId": job, "jobStatus": status, "occurredAt": day, **fields}
    usage(project, eventId=f"{job} on {day}", costDollars=cost, **of_job)


@pytest.fixture
def busy(project: Project) -> Project:
    testing, research = {"agentType": "testing"}, {"agentType": "research"}
    worked(project, "t1", "6", "succeeded", inputTokens=600, **testing)
    worked(project, "t2", "3", "failed", inputTokens=300, **testing)
    worked(project, "t3", "1", "cancelled", inputTokens=100, **testing)
    worked(project, "r1", "2", "succeeded", **research)
    worked(project, "before", "4", "succeeded", at(17, 2), inputTokens=400, **testing)
    worked(project, "after the 17th", "50", "failed", at(18, 2), **testing)
    return project


def agent(project: Project, slug: str, month: date = MARCH) -> queries.AgentTypeSpend:
    return next(one for one in queries.month_summary(project, month).agents if one.agent_type == slug)


def test_what_failed_and_cancelled_jobs_cost_is_waste_by_agent_type_and_in_all(busy: Project) -> None:
    testing = agent(busy, "testing")
    assert (testing.failed_cost, testing.cancelled_cost, testing.cost) == (3 * 10**9, 10**9, 10 * 10**9)
    assert agent(busy, "research").wasted == 0
    assert queries.month_summary(busy).wasted == 4 * 10**9
    assert queries.month_summary(busy, FEBRUARY).failed_cost == 50 * 10**9


@pytest.mark.parametrize("late", ["failed", "cancelled"])
def test_a_job_that_turns_out_to_have_come_to_nothing_takes_its_spend_along(
    project: Project, late: str
) -> None:
    worked(project, "j", "5", "running", at(28, 2))
    worked(project, "j", "7", "running", at(1))
    assert queries.month_summary(project).wasted == 0
    send(project, event(kind="job", runId="r", jobId="j", jobStatus=late))
    for month, cost in ((FEBRUARY, 5), (MARCH, 7)):
        summary = queries.month_summary(project, month)
        assert getattr(summary, f"{late}_cost") == summary.wasted == summary.cost == cost * 10**9
    assert list(differences(project)) == []


def test_a_refund_lessens_the_waste_of_its_job(project: Project) -> None:
    worked(project, "j", "5", "failed")
    usage(project, kind="refund", runId="r", jobId="j", costDollars="2", occurredAt=at(11))
    assert queries.month_summary(project).failed_cost == 3 * 10**9


def test_a_failed_job_that_moves_to_another_agent_type_takes_its_waste_along(project: Project) -> None:
    worked(project, "j", "5", "failed")
    send(project, event(kind="job", runId="r", jobId="j", agentType="testing"))
    assert agent(project, "testing").failed_cost == 5 * 10**9
    assert len(queries.month_summary(project).agents) == 1
    assert list(differences(project)) == []


def test_the_procedure_tells_waste_in_all_and_by_agent_type(busy: Project) -> None:
    result = PROCEDURES["aiCost.getMonthlySummary"].call(Caller(busy.owner), {"projectId": str(busy.pk)})
    assert result["waste"] == {
        "failedCost": 3,
        "cancelledCost": 1,
        "wastedPct": 100 * 4 / 12,
        "costPerJob": 3,
        "costPerSucceededJob": 6,
    }
    [of_testing] = [one["waste"] for one in result["agentBreakdown"] if one["agentType"] == "testing"]
    assert of_testing == {
        "failedCost": 3,
        "cancelledCost": 1,
        "wastedPct": 40,
        "costPerJob": 3.333333333,
        "costPerSucceededJob": 10,
    }


def test_without_a_finished_job_there_is_no_cost_of_one(project: Project) -> None:
    worked(project, "j", "5", "running")
    result = PROCEDURES["aiCost.getMonthlySummary"].call(
        Caller(project.owner), {"projectId": str(project.pk)}
    )
    assert (result["waste"]["costPerJob"], result["waste"]["costPerSucceededJob"]) == (None, None)


# ---- What changed


def test_the_month_to_date_is_compared_with_the_same_days_before(busy: Project) -> None:
    found = queries.changes(busy)
    assert found.days == (date(2026, 3, 1), date(2026, 3, 17))
    assert found.days_before == (date(2026, 2, 1), date(2026, 2, 17))
    assert {one.agent_type: (one.before, one.after) for one in found.agents} == {
        "testing": (Work(1, 400, 4 * 10**9), Work(3, 1_000, 10 * 10**9)),
        "research": (Work(), Work(1, 0, 2 * 10**9)),
    }
    assert [one.agent_type for one in found.agents] == ["testing", "research"]


def test_a_past_month_is_compared_with_the_whole_one_before(busy: Project) -> None:
    found = queries.changes(busy, FEBRUARY)
    assert found.days == (FEBRUARY, date(2026, 2, 28))
    assert found.days_before == (date(2026, 1, 1), date(2026, 1, 31))
    assert (found.before, found.after) == (0, 54 * 10**9)


def test_the_parts_add_up_to_the_change_of_the_months(busy: Project) -> None:
    found = queries.changes(busy)
    assert found.parts.whole == found.after - found.before == 8 * 10**9
    assert all(one.parts.whole == one.after.cost - one.before.cost for one in found.agents)


def test_what_changed_is_asked_for_in_one_query(busy: Project, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        queries.changes(busy)


# ---- Shown


@pytest.fixture
def page(client: Client, busy: Project, viewer: Any) -> str:
    client.force_login(viewer)
    return client.get(reverse("ai-cost", args=[busy.pk])).content.decode()


def section(page: str, name: str) -> str:
    [found] = re.findall(rf'aria-labelledby="{name}-title">.*?</section>', page, re.DOTALL)
    return re.sub(r"<[^>]+>", " ", found)


def test_the_page_says_what_was_wasted_and_how_that_moved(page: str) -> None:
    text = section(page, "waste")
    assert "$4.00, 33.3\u00a0% of the spend, was wasted; −59.3\u00a0pts compared with Feb 2026." in text
    [testing] = re.findall(r"Testing(.*?)Research", text, re.DOTALL)
    assert re.search(r"\$3\.00\s+failed\s+\$1\.00\s+cancelled\s+40\.0", testing)


def test_the_page_says_what_changed_and_why(page: str) -> None:
    text = section(page, "changes")
    assert "1–17 Mar compared with 1–17 Feb. $8.00 more than in the same days of the month before" in text
    assert "mainly because of more jobs" in text
    assert re.search(r"Total\s+\$4\.00\s+before\s+\$12\.00\s+now\s+\+\$8\.00", text)


def test_a_product_without_usage_says_so_in_both(client: Client, project: Project, viewer: Any) -> None:
    client.force_login(viewer)
    page = client.get(reverse("ai-cost", args=[project.pk])).content.decode()
    assert "Nothing to compare." in section(page, "changes")
    assert "No usage in March 2026." in section(page, "waste")


def test_downloads_have_the_same_figures_with_totals(client: Client, busy: Project, viewer: Any) -> None:
    client.force_login(viewer)
    waste, changed = (
        list(
            csv.reader(StringIO(client.get(reverse("export", args=[busy.pk, name, "csv"])).content.decode()))
        )
        for name in ("waste", "changes")
    )
    assert waste[-1] == ["total", "", "12.0", "3.0", "1.0", str(100 * 4 / 12), "4", "2", "3.0", "6.0"]
    assert changed[-1][:9] == ["total", "", "1", "4", "400", "1000", "4.0", "12.0", "8.0"]
    assert sum(map(float, changed[-1][9:])) == 8
