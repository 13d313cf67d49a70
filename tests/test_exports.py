"""Exports: the same figures as the pages, totals last, safe for spreadsheets, streamed if large."""

import csv
import html
import json
import re
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.http import QueryDict
from django.urls import reverse

from aicost import queries
from aicost.exports import dashboard as dashboard_export
from aicost.exports import runs as run_exports
from aicost.exports import tabular
from aicost.exports.runs import RUN_COLUMNS
from aicost.queries import runs, transactions
from aicost.url_state import runs as run_urls
from billing import clock
from billing.budgets import limits
from tests.conftest import NOW
from tests.factories import event, send, usage

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def busy(project):
    send(
        project,
        event(
            eventId="a", runId="r1", agentType="testing", costDollars="1.25", inputTokens=10, outputTokens=2
        ),
        event(eventId="b", runId="r2", agentType="=HYPERLINK()", costDollars="0.5", cacheReadTokens=7),
        event(eventId="+c", runId="@r3", kind="refund", jobId="j", costDollars="0.25"),
        event(eventId="d", kind="purchase", costDollars=100),
        event(eventId="e", runId="r1", costDollars=None, model="nobody-knows", inputTokens=3),
        event(eventId="old", occurredAt="2026-02-28T23:59:59.999999Z", costDollars="9"),
    )
    return project


@pytest.fixture
def get(client, busy, viewer):
    client.force_login(viewer)

    def fetch(name: str, *args: Any, query: str = "") -> Any:
        response = client.get(reverse(name, args=args) + query)
        assert response.status_code == 200, response.content
        return response

    return fetch


def rows(response: Any) -> list[list[str]]:
    text = b"".join(response.streaming_content) if response.streaming else response.content
    return list(csv.reader(StringIO(text.decode())))


@pytest.mark.parametrize("table", dashboard_export.TABLES)
def test_csv_and_json_have_the_same_cells(get, busy, table):
    as_csv = rows(get("export", busy.pk, table, "csv"))
    as_json = json.loads(get("export", busy.pk, table, "json").content)
    assert as_csv[0] == list(as_json["total"])
    assert len(as_csv) == len(as_json["rows"]) + 2
    for line, row in zip(as_csv[1:], [*as_json["rows"], as_json["total"]], strict=True):
        cells = [tabular.safe(value) for value in row.values()]
        assert line == ["" if value is None else str(value) for value in cells]


@pytest.mark.parametrize("query", ["", "?month=2026-02", "?range=7"])
def test_totals_match_the_page(get, busy, query):
    month = clock.month_from(busy, "2026-02") if "month" in query else None
    cost = queries.month_summary(busy, month).cost / 10**9
    assert float(rows(get("export", busy.pk, "agents", "csv", query=query))[-1][6]) == cost
    days = rows(get("export", busy.pk, "daily", "csv", query=query))
    assert len(days) == (7 if "range" in query else 30) + 2
    ledger = rows(get("export-ledger", busy.pk, query=query))
    assert ledger[-1][0] == "total"
    assert Decimal(ledger[-1][-1]) == Decimal(str(cost))


def test_the_ledger_export_has_every_transaction_of_the_month_in_order(get, busy):
    ledger = rows(get("export-ledger", busy.pk))
    assert ledger[0] == list(dashboard_export.LEDGER_COLUMNS)
    assert [line[0] for line in ledger[1:]] == ["'+c", "a", "b", "d", "e", "total"]
    by_id = {line[0]: dict(zip(ledger[0], line, strict=True)) for line in ledger[1:]}
    assert by_id["'+c"]["spendDollars"] == "-0.25"
    assert by_id["d"]["spendDollars"] == "0"
    assert by_id["e"]["costSource"] == "unpriced"
    assert by_id["a"]["occurredAt"] == NOW.isoformat().replace("+00:00", "Z")


def test_formulas_are_quoted_and_numbers_stay_numbers(get, busy):
    agents = rows(get("export", busy.pk, "agents", "csv"))
    assert "'=HYPERLINK()" in [line[0] for line in agents]
    assert [line[6] for line in agents if line[0] == "other"] == ["-0.25"]
    assert "'@r3" in [line[0] for line in rows(get("export", busy.pk, "runs", "csv"))]


def test_the_cost_of_an_unpriced_transaction_is_empty_not_zero(get, busy):
    recent = rows(get("export", busy.pk, "recent", "csv"))
    assert [line[-1] for line in recent if line[0] == "e"] == [""]


def test_portfolio_and_revenue_have_totals(get, busy):
    assert rows(get("export-portfolio", "csv"))[-1][2] == "1.5"
    assert rows(get("export-revenue", busy.pk, "csv"))[-1] == ["total", "100.0", "0.0", "100.0"]
    assert json.loads(get("export-portfolio", "json").content)["rows"][0]["name"] == "Lighthouse"


def test_strangers_get_no_figures(client, busy, stranger):
    client.force_login(stranger)
    for name, args in (
        ("export", ("agents", "csv")),
        ("export-ledger", ()),
        ("export-revenue", ("csv",)),
    ):
        assert client.get(reverse(name, args=[busy.pk, *args])).status_code == 404
    assert rows(client.get(reverse("export-portfolio", args=["csv"])))[-1][2] == "0.0"


def test_an_unknown_export_is_404_and_an_invalid_month_400(client, busy, viewer):
    client.force_login(viewer)
    for args in (("nothing", "csv"), ("agents", "xlsx")):
        assert client.get(reverse("export", args=[busy.pk, *args])).status_code == 404
    assert (
        client.get(reverse("export", args=[busy.pk, "agents", "csv"]) + "?month=2027-01").status_code == 400
    )


def test_the_ledger_export_is_streamed_from_one_query(busy, django_assert_max_num_queries):
    for number in range(20):
        usage(busy, eventId=f"more-{number:02}")
    transactions = dashboard_export.ledger_lines(busy, clock.this_month(busy))
    assert next(transactions).startswith("eventId,")
    with django_assert_max_num_queries(1):
        assert len(list(transactions)) == 26


# ---- Runs, a single run, and limits


def test_the_runs_export_has_every_run_not_only_a_page(get, project, monkeypatch):
    monkeypatch.setattr(runs, "BATCH", 2)
    for number in range(5):
        start = f"2026-03-0{number + 1}T00:00:00Z"
        usage(project, runId=f"run {number}", runStartedAt=start, costDollars="0.5", inputTokens=3)
    usage(project, kind="refund", runId="only refunds", jobId="j", costDollars="0.25")
    transactions = rows(get("export-runs", project.pk, "csv"))
    assert transactions[0] == list(RUN_COLUMNS)
    numbered = [line[0] for line in transactions if line[0].startswith("run ")]
    assert numbered == [f"run {number}" for number in (4, 3, 2, 1, 0)]
    assert "only refunds" in [line[0] for line in transactions]
    total = transactions[-1]
    assert total[:5] == ["total", "", "", "", ""]
    assert int(total[5]) == sum(int(line[5]) for line in transactions[1:-1])
    assert float(total[7]) == sum(float(line[7]) for line in transactions[1:-1])


def test_runs_without_a_start_come_last_and_are_paged_without_gaps(get, project, monkeypatch):
    monkeypatch.setattr(runs, "PAGE", 2)
    monkeypatch.setattr(runs, "BATCH", 2)
    refunds = [event(kind="refund", runId=f"back {n}", jobId="j", costDollars="0.25") for n in range(5)]
    send(project, event(runId="started"), *refunds)
    expected = ["started", *(f"back {n}" for n in range(5))]
    listed: list[str] = []
    page = runs.run_page(project)
    while page.older:
        listed += [run.run_id for run in page.runs]
        url = run_urls.older_url(project, page.older)
        page = runs.run_page(project, run_urls.read_cursor(QueryDict(url.partition("?")[2])))
    listed += [run.run_id for run in page.runs]
    assert [one for one in listed if one in expected] == expected
    transactions = rows(get("export-runs", project.pk, "csv"))
    assert [line[0] for line in transactions if line[0] in expected] == expected


@pytest.mark.parametrize("table", ["jobs", "deductions"])
def test_tables_of_a_run_match_in_csv_and_json_and_sum_to_its_cost(get, busy, table):
    as_csv = rows(get("export-run", busy.pk, table, "csv", query="?run=r1"))
    as_json = json.loads(
        b"".join(get("export-run", busy.pk, table, "json", query="?run=r1").streaming_content)
    )
    assert as_csv[0] == list(as_json["total"])
    assert [row for row in as_json["rows"] if None not in row.values()]
    assert as_json["total"]["cost"] == sum(row["cost"] or 0 for row in as_json["rows"])
    assert as_json["total"]["cost"] == runs.run_detail(busy, "r1").run.cost / 10**9
    assert len(as_csv) == len(as_json["rows"]) + 2


def test_the_deductions_of_a_run_are_streamed(busy, monkeypatch):
    read: list[Any] = []
    make = transactions._deduction
    monkeypatch.setattr(transactions, "_deduction", lambda job, row: read.append(row) or make(job, row))
    monkeypatch.setattr(transactions, "_CHUNK", 1)
    table = run_exports.deductions(busy, "r1")
    assert len(read) == 0
    assert next(iter(table.rows))[0] == "a"
    assert len(read) == 1


def test_the_cost_of_an_unpriced_deduction_is_empty(get, busy):
    transactions = rows(get("export-run", busy.pk, "deductions", "csv", query="?run=r1"))
    assert {line[0]: line[-1] for line in transactions[1:]} == {"a": "1.25", "e": "", "total": "1.25"}


@pytest.mark.parametrize("address", ["jobs.csv?run=none", "jobs.csv", "lines.csv?run=r1", "jobs.xml?run=r1"])
def test_unknown_exports_of_a_run_are_404(client, busy, viewer, address):
    client.force_login(viewer)
    assert client.get(f"/dashboard/products/{busy.pk}/run/{address}").status_code == 404


def test_links_to_the_exports_of_a_run_escape_odd_ids(client, busy, viewer):
    client.force_login(viewer)
    odd = "a/../b?c=d&e #é+ %2F"
    usage(busy, runId=odd, costDollars="2")
    page = client.get(run_urls.run_url(busy, odd)).content.decode()
    links = re.findall(r'href="([^"]*/run/jobs\.csv[^"]*)"', page)
    assert len(links) == 1
    transactions = rows(client.get(html.unescape(links[0])))
    assert transactions[-1][-1] == "2.0"


def test_the_limits_export_says_who_changed_a_limit_and_why(get, busy, owner):
    limits.set_limit(busy, Decimal("99.5"), by=owner, note="=SUM()")
    limits.set_limit(busy, None, by=owner)
    cleared, first = rows(get("export-limits", busy.pk, "csv"))[1:-1]
    assert cleared[1:] == ["owner", "99.5", "", "", ""]
    assert first[1:] == ["owner", "", "99.5", "", "'=SUM()"]


@pytest.mark.parametrize(
    "before",
    ["", "yesterday", "2026-03-01T00:00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"],
)
def test_an_invalid_cursor_of_the_runs_page_is_400_and_says_why(client, project, viewer, before):
    client.force_login(viewer)
    response = client.get(reverse("runs", args=[project.pk]), {"before": before, "after": "r1"})
    assert response.status_code == 400
    assert "ISO 8601" in response.content.decode()


@pytest.mark.parametrize("name", ["runs", "export-run"])
def test_a_run_id_with_a_null_character_is_404(client, project, viewer, name):
    client.force_login(viewer)
    args = {"runs": [], "export-run": ["jobs", "csv"]}[name]
    assert client.get(reverse(name, args=[project.pk, *args]), {"run": "a\0b"}).status_code == 404
    assert client.get(reverse("run", args=[project.pk, "a\0b"])).status_code == 404


def test_the_cursor_of_the_runs_page_accepts_any_run_id(client, project, viewer):
    client.force_login(viewer)
    address = reverse("runs", args=[project.pk])
    for before in ("none", "2026-03-01T00:00:00Z"):
        assert client.get(address, {"before": before, "after": "a\0b"}).status_code == 200
