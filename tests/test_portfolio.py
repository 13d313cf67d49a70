"""The portfolio: a forecast for every product; sorted and filtered by its URL, and exported as shown."""

import csv
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext

from aicost import queries
from aicost.url_state.portfolio import PortfolioState
from aicost.url_state.sorting import ORDERS, STATES
from billing.budgets import limits
from billing.budgets.forecast import Forecast, NotYet
from billing.money import NANOS_PER_DOLLAR, dollars
from products.models import Project
from tests.conftest import NOW
from tests.factories import ProjectFactory, event, send

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

DOLLAR = NANOS_PER_DOLLAR
OPTIONAL = ("budget", "forecast", "forecast-budget")
"""Orders by a figure that a product may lack."""
Make = Callable[..., Project]


@pytest.fixture
def make(owner: Any) -> Make:
    """Makes a product of the owner that spent `cost` dollars at noon on each of the last `days` days."""

    def product(
        name: str, cost: str = "0", days: int = 0, limit: str | None = None, **fields: Any
    ) -> Project:
        project = ProjectFactory(name=name, owner=owner, **fields)
        send(project, *[_spent(cost, days_ago) for days_ago in range(days)])
        if limit:
            limits.set_limit(project, Decimal(limit), by=owner)
        return project

    return product


def _spent(cost: str, days_ago: int) -> Any:
    at = NOW - timedelta(days=days_ago)
    return event(occurredAt=at.isoformat(), costDollars=cost, runId=f"run-{days_ago}", inputTokens=100)


@pytest.fixture
def six(make: Make) -> dict[str, Project]:
    """Six products on 17 March at noon: 16.5 days of the month have elapsed, 14.5 are left."""
    products = [
        make("Calm", "1", 17, limit="100"),  # 17 spent, about 32 expected
        make("Tight", "2", 17, limit="40"),  # 85 %, will be passed
        make("Brisk", "3", 17, limit="80"),  # 63.75 %, will be passed
        make("Spent", "5", 17, limit="60"),  # reached
        make("Free", "4", 17),
        make("New", "9", 2, limit="1000"),  # 1.8 %, no forecast yet
    ]
    return {project.name: project for project in products}


@pytest.fixture
def get(owner: Any) -> Callable[[str], Any]:
    client = Client()
    client.force_login(owner)
    return client.get


def text(response: Any) -> str:
    assert response.status_code == 200, response.content
    return unescape(response.content.decode())


def names(page: str) -> list[str]:
    """The names in the rows, in order."""
    return re.findall(r'<th scope="row" class="at-name"><a[^>]*><bdi[^>]*>([^<]*)', page)


def row(page: str, name: str) -> str:
    [found] = [line for line in re.findall(r"<tr>.*?</tr>", page, re.DOTALL) if f">{name}</bdi>" in line]
    return _words(found)


def footer(page: str) -> str:
    [found] = re.findall(r"<tfoot>.*?</tfoot>", page, re.DOTALL)
    return _words(found)


def _words(markup: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", markup).split())


def read(*projects: Project) -> queries.Portfolio:
    return queries.portfolio(projects)


# ---- Forecasts


def test_each_forecast_equals_the_one_on_the_products_own_page(six: dict[str, Project]) -> None:
    found = read(*six.values())
    for row in found.projects:
        own = queries.budget_forecast(row.project, queries.month_summary(row.project))
        assert row.outlook == own.outlook
        assert row.will_pass == (own.passes_limit and not row.reached)
    kinds = {one.project.name: type(one.outlook) for one in found.projects}
    assert kinds == dict.fromkeys(six, Forecast) | {"New": NotYet}


def test_a_row_shows_the_forecast_its_range_and_the_day_on_which_spend_passes_the_limit(
    get: Any, make: Make, six: dict[str, Project]
) -> None:
    send(six["Calm"], _spent("30", 20))  # days must differ for the forecast to have a range
    forecasts = {one.project.name: one.forecast for one in read(*six.values()).projects}
    page = text(get("/"))
    calm, brisk, spent = forecasts["Calm"], forecasts["Brisk"], forecasts["Spent"]
    assert calm
    assert calm.low < calm.month_end < calm.high
    assert f"${dollars(calm.month_end):.2f}" in row(page, "Calm")
    assert re.search(r"forecast \$\d+\.\d\d \$\d+(\.\d+)? to \$\d+\.\d\d ", row(page, "Calm"))
    assert "within the limit" in row(page, "Calm")
    assert brisk
    assert brisk.limit_passed_on == NOW.date().replace(day=26)
    assert "passes it on 26 Mar" in row(page, "Brisk")
    assert "Within the limit so far" in row(page, "Brisk")
    assert " to " not in row(page, "Brisk")  # each day cost the same
    assert spent
    assert spent.limit_passed_on == NOW.date().replace(day=12)
    assert "reached on 12 Mar" in row(page, "Spent")
    assert "no forecast yet" in row(page, "New")
    assert "A forecast needs 3 days with spend; 2 so far." in page


def test_a_product_that_was_never_used_has_a_row_without_a_forecast(get: Any, make: Make) -> None:
    make("Empty")
    page = text(get("/"))
    assert "no forecast yet" in row(page, "Empty")
    assert "— for 0 of 1 product" in footer(page)


@pytest.mark.parametrize("now", ["2026-03-31T10:30:00Z", "2026-03-31T23:30:00Z", "2026-04-01T10:30:00Z"])
def test_each_product_is_in_its_own_zone_and_month(clock: Any, owner: Any, now: str) -> None:
    """At each of these instants it is already April in Kiritimati and still March on Midway."""
    clock.move_to(now)
    projects = [
        ProjectFactory(name=zone, owner=owner, time_zone=zone)
        for zone in ("Pacific/Kiritimati", "UTC", "Pacific/Midway")
    ]
    at = datetime.fromisoformat(now)
    for number, project in enumerate(projects):
        costs = [str(1 + (days_ago + number) % 5) for days_ago in range(200)]
        send(
            project,
            *[
                event(
                    occurredAt=(at - timedelta(hours=23 * days_ago)).astimezone(UTC).isoformat(),
                    costDollars=cost,
                    runId=f"run-{days_ago}",
                )
                for days_ago, cost in enumerate(costs)
            ],
        )
        limits.set_limit(project, Decimal(60), by=owner)
    found = {one.project.name: one for one in read(*projects).projects}
    months = {name: one.trend[-1].start.month for name, one in found.items()}
    assert (months["Pacific/Kiritimati"], months["Pacific/Midway"]) == (4, 3)
    for row in found.values():
        summary = queries.month_summary(row.project)
        assert row.trend == queries.monthly_trend(row.project)
        assert (row.cost, row.tokens, row.jobs) == (summary.cost, summary.tokens, summary.jobs)
        assert row.budget == summary.budget
        assert row.outlook == queries.budget_forecast(row.project, summary).outlook
        assert isinstance(row.outlook, Forecast)


# ---- Order


def expected(found: queries.Portfolio, order: str, descending: bool) -> list[str]:
    """The names in the expected order: by figure, ties by name and id, missing figures last."""

    def figure(row: queries.ProjectSpend) -> Any:
        limit = row.budget.limit_nanos if row.budget else None
        month_end = row.forecast.month_end if row.forecast else None
        return {
            "name": row.project.name,
            "spend": row.cost,
            "share": row.cost,
            "budget": limit and Decimal(row.cost) / limit,
            "forecast": month_end,
            "forecast-budget": limit and month_end and Decimal(month_end) / limit,
            "tokens": row.tokens,
            "jobs": row.jobs,
        }[order]

    keys = [(figure(one), one.project.name, one.project.pk) for one in found.projects]
    known = sorted({value for value, *_ in keys if value is not None}, reverse=descending)
    ranks = {value: rank for rank, value in enumerate(known)}
    keys.sort(key=lambda key: (ranks.get(key[0], len(ranks)), key[1], key[2]))
    return [name for _, name, _ in keys]


@pytest.mark.parametrize("order", ORDERS)
def test_every_column_sorts_in_both_directions(get: Any, six: dict[str, Project], order: str) -> None:
    for minus in ("", "-"):
        shown = names(text(get(f"/?sort={minus}{order}")))
        assert shown == expected(read(*six.values()), order, bool(minus))
        if order in OPTIONAL:
            assert shown[-1] == ("Free" if order == "budget" else "New")


def test_the_forecast_of_limit_is_sorted_by_its_ratio(get: Any, six: dict[str, Project]) -> None:
    worst = ["Spent", "Tight", "Brisk", "Calm"]
    assert names(text(get("/?sort=-forecast-budget"))) == [*worst, "Free", "New"]
    assert names(text(get("/?sort=forecast-budget"))) == [*reversed(worst), "Free", "New"]


def test_the_default_order_is_highest_spend_first(get: Any, six: dict[str, Project]) -> None:
    default = names(text(get("/")))
    assert default == ["Spent", "Free", "Brisk", "Tight", "New", "Calm"]
    assert names(text(get("/?sort=-spend"))) == default
    assert names(text(get("/?sort=spend"))) == default[::-1]


@pytest.mark.parametrize("sort", [f"{minus}{order}" for order in ORDERS if order != "name" for minus in "- "])
def test_ties_are_sorted_by_name_then_id_in_both_directions(owner: Any, make: Make, sort: str) -> None:
    """Two products may have the same name."""
    products = [make(name, "1", 4, limit="50") for name in ("b", "a", "B", "a")]
    state = PortfolioState(sort=sort.strip())
    shown = [one.project.pk for one in state.of(read(*products)).projects]
    b, a, capital, other_a = (project.pk for project in products)
    assert shown == [capital, a, other_a, b]


@pytest.mark.parametrize(("sort", "order"), [("name", "BCCa"), ("-name", "aCCB")])
def test_names_are_ordered_by_code_point_and_equal_ones_by_id(make: Make, sort: str, order: str) -> None:
    products = [make(name) for name in ("C", "a", "C", "B")]
    shown = PortfolioState(sort=sort).of(read(*products)).projects
    assert "".join(one.project.name for one in shown) == order
    assert [one.project.pk for one in shown if one.project.name == "C"] == [products[0].pk, products[2].pk]


@pytest.mark.parametrize("sort", ["budget", "-budget", "forecast", "-forecast", "-forecast-budget"])
def test_products_without_the_figure_come_last_by_name(make: Make, sort: str) -> None:
    products = [make("Z"), make("Y"), make("X", "1", 4, limit="50")]
    shown = PortfolioState(sort=sort).of(read(*products)).projects
    assert [one.project.name for one in shown] == ["X", "Y", "Z"]


def test_nearly_equal_percentages_are_not_a_tie(make: Make) -> None:
    """The difference is too small for a floating-point number."""
    more, less = make("b", "0.000000001", 1, limit="999999999.99"), make("a", limit="999999999.99")
    send(less, event(costDollars="900000"))
    send(more, event(costDollars="900000"))
    shown = PortfolioState(sort="-budget").of(read(more, less)).projects
    assert [one.project.name for one in shown] == ["b", "a"]


def head(page: str) -> list[tuple[str, str, str]]:
    """The id, URL and `aria-sort` of each column's link."""
    [row] = re.findall(r"<thead>.*?</thead>", page, re.DOTALL)
    cells = re.findall(r'<th scope="col"([^>]*)><a id="([^"]+)" href="([^"]+)"', row)
    return [
        (id, href, "".join(re.findall(r'aria-sort="(\w+)"', attributes))) for attributes, id, href in cells
    ]


def test_the_head_shows_the_order_and_a_click_reverses_it(get: Any, six: dict[str, Project]) -> None:
    links = head(text(get("/?state=all")))
    assert {id.removeprefix("sort-") for id, *_ in links} == set(ORDERS)
    assert {id: direction for id, _, direction in links if direction} == {"sort-spend": "descending"}
    urls = {id: href for id, href, _ in links}
    assert urls["sort-spend"] == "/?sort=spend"
    assert urls["sort-name"] == "/?sort=name"
    assert urls["sort-forecast"] == "/?sort=-forecast"
    assert _sorted_by(text(get("/?sort=spend"))) == {"sort-spend": ("/", "ascending")}
    assert _sorted_by(text(get("/?sort=name"))) == {"sort-name": ("/?sort=-name", "ascending")}


def _sorted_by(page: str) -> dict[str, tuple[str, str]]:
    """The URL and direction of the link of the sorted column, by its id."""
    return {id: (href, direction) for id, href, direction in head(page) if direction}


def test_a_phone_lists_the_same_orders(get: Any, six: dict[str, Project]) -> None:
    page = text(get("/?sort=-forecast-budget&state=green"))
    [listed] = re.findall(r'<details class="sorting".*?</details>', page, re.DOTALL)
    assert re.findall(r'href="([^"]+)"', listed) == [href for _, href, _ in head(page)]
    assert "Sort: Forecast of limit, highest first" in listed
    assert len(re.findall(r"aria-current", listed)) == 1
    assert "Sort: Name, Z to A" in text(get("/?sort=-name"))


# ---- Filter

IN_STATE = {
    "all": {"Calm", "Tight", "Brisk", "Spent", "Free", "New"},
    "green": {"Calm", "Brisk", "New"},
    "yellow": {"Tight"},
    "red": {"Spent"},
    "passing": {"Tight", "Brisk"},
    "none": {"Free"},
}


@pytest.mark.parametrize("state", STATES)
def test_a_filter_shows_its_products_and_every_filter_its_count(
    get: Any, six: dict[str, Project], state: str
) -> None:
    page = text(get(f"/?state={state}"))
    assert set(names(page)) == IN_STATE[state]
    [listed] = re.findall(r'<ul class="filters">.*?</ul>', page, re.DOTALL)
    counts = dict(re.findall(r'id="state-(\w+)".*?<b>(\d+)</b>', listed, re.DOTALL))
    assert counts == {name: str(len(products)) for name, products in IN_STATE.items()}
    assert re.findall(r'id="state-(\w+)"[^>]*aria-current', listed) == [state]


def test_every_link_keeps_both_filter_and_order(get: Any, six: dict[str, Project]) -> None:
    page = text(get("/?sort=name&state=passing"))
    assert names(page) == ["Brisk", "Tight"]
    assert 'href="/?sort=-name&state=passing"' in page
    assert 'href="/?sort=name&state=red"' in page
    assert 'href="/portfolio.csv?sort=name&state=passing"' in page
    assert (
        'href="/?sort=name" hx-get="/portfolio/products?sort=name" hx-push-url="/?sort=name">Show all' in page
    )


def test_totals_and_shares_cover_only_the_listed_products(get: Any, six: dict[str, Project]) -> None:
    page = text(get("/?state=passing"))
    assert "forecast to pass their limit: 2 of 6. Totals and shares cover only these." in page
    assert footer(page).startswith("Total $85.00 100.0 %")
    assert "60.0 %" in row(page, "Brisk")
    assert "40.0 %" in row(page, "Tight")
    assert "Totals and shares" not in text(get("/"))


def test_the_total_forecast_says_how_many_products_it_covers(get: Any, six: dict[str, Project]) -> None:
    found = read(*six.values())
    month_ends = [one.forecast.month_end for one in found.projects if one.forecast]
    assert len(month_ends) == 5
    assert found.month_end == sum(month_ends)
    page = text(get("/"))
    assert f"forecast ${sum(month_ends) / DOLLAR:.2f} for 5 of 6 products" in footer(page)
    assert "at month end, for 5 of 6 products" in page
    complete = text(get("/?state=yellow"))
    assert "for 1 of 1" not in complete
    assert "at month end</dd>" in complete


def test_a_filter_without_products_says_so_and_links_back(get: Any, make: Make) -> None:
    make("Only")
    page = text(get("/?state=red&sort=name"))
    assert "There are no products at their limit." in page
    assert 'href="/?sort=name"' in page
    assert "<table" not in page
    assert "Download as" not in page
    assert 'class="filters"' in page


# ---- URLs


WRONG = {
    "sort": ("", "cost", "--spend", "SPEND", "-", "spend ", "+spend", "x\0"),
    "state": ("", "RED", "orange", "-red", "null"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("address", ["/", "/portfolio/products", "/portfolio.csv", "/portfolio.json"])
def test_the_error_for_an_invalid_value_names_the_parameter(
    get: Any, make: Make, address: str, name: str
) -> None:
    make("Any")
    for value in WRONG[name]:
        response = get(address, {name: value})
        assert response.status_code == 400, value
        assert f"{name} must be one of" in _words(response.content.decode())


@pytest.mark.parametrize(
    "query", ["", "?sort=forecast", "?state=red", "?sort=-name&state=none", "?state=yellow"]
)
def test_the_fragment_is_a_part_of_the_page(get: Any, six: dict[str, Project], query: str) -> None:
    fragment = get(f"/portfolio/products{query}")
    assert fragment.status_code == 200
    assert b"<html" not in fragment.content
    assert fragment.content.strip() in get(f"/{query}").content


def test_the_fragment_of_an_empty_portfolio_is_a_part_of_the_page(stranger: Any) -> None:
    client = Client()
    client.force_login(stranger)
    fragment = client.get("/portfolio/products").content
    assert b"create_project" in fragment
    assert fragment.strip() in client.get("/").content


def test_every_link_opens_the_page_that_contains_its_fragment(get: Any, six: dict[str, Project]) -> None:
    page = text(get("/?state=green&sort=jobs"))
    links = re.findall(r'href="([^"]*)" hx-get="([^"]*)" hx-push-url="([^"]*)"', page)
    assert len(links) == 2 * len(ORDERS) + len(STATES) + 1
    for href, fragment, pushed in links:
        assert href == pushed
        assert fragment == f"/portfolio/products{href[1:]}"
        assert get(fragment).content.strip() in get(href).content


def test_each_state_has_one_url() -> None:
    for sort in [f"{minus}{order}" for order in ORDERS for minus in ("", "-")]:
        for state in STATES:
            portfolio = PortfolioState(sort, state)
            assert PortfolioState.read(QueryDict(portfolio.page_url.partition("?")[2])) == portfolio
    assert PortfolioState().page_url == "/"
    with pytest.raises(ValidationError):
        PortfolioState.read(QueryDict("sort=nothing"))


def test_strangers_see_none_of_it(stranger: Any, six: dict[str, Project]) -> None:
    client = Client()
    assert client.get("/portfolio/products").status_code == 302
    client.force_login(stranger)
    for address in ("/", "/portfolio/products", "/portfolio.csv", "/portfolio.json"):
        assert b"Calm" not in client.get(address).content


# ---- Export


@pytest.mark.parametrize("query", ["", "?sort=forecast", "?sort=-forecast-budget&state=green", "?state=red"])
def test_the_export_is_what_the_page_shows(get: Any, six: dict[str, Project], query: str) -> None:
    page = text(get(f"/{query}"))
    exported = get(f"/portfolio.json{query}").json()
    assert [one["name"] for one in exported["rows"]] == names(page)
    lines = list(csv.reader(StringIO(get(f"/portfolio.csv{query}").content.decode())))
    assert lines[0] == list(exported["total"])
    for line, record in zip(lines[1:], [*exported["rows"], exported["total"]], strict=True):
        assert line == ["" if value is None else str(value) for value in record.values()]
    for record in exported["rows"]:
        if record["forecast"] is not None:
            assert f"${record['forecast']:.2f}" in row(page, record["name"])
    assert f"${exported['total']['cost']:.2f}" in footer(page)
    assert f"${exported['total']['forecast']:.2f}" in footer(page)


def test_the_export_contains_the_forecast_its_range_and_the_day(get: Any, six: dict[str, Project]) -> None:
    exported = {one["name"]: one for one in get("/portfolio.json").json()["rows"]}
    forecasts = {one.project.name: one.forecast for one in read(*six.values()).projects}
    for name, record in exported.items():
        found = forecasts[name]
        day = found.limit_passed_on if found else None
        assert record["forecast"] == (dollars(found.month_end) if found else None)
        assert record["forecastLow"] == (dollars(found.low) if found else None)
        assert record["forecastHigh"] == (dollars(found.high) if found else None)
        assert record["limitPassedOn"] == (day.isoformat() if day else None)
    assert exported["Brisk"]["limitPassedOn"] == "2026-03-26"


def test_the_total_has_no_range_and_without_forecasts_no_forecast(get: Any, make: Make, six: Any) -> None:
    total = get("/portfolio.json").json()["total"]
    assert (total["forecastLow"], total["forecastHigh"], total["limitPassedOn"]) == (None, None, None)
    Project.objects.exclude(name="New").update(archived_at=NOW)
    assert get("/portfolio.json").json()["total"]["forecast"] is None


def test_a_filter_without_products_exports_only_totals(get: Any, make: Make) -> None:
    make("Only")
    exported = json.loads(get("/portfolio.json?state=red").content)
    assert exported["rows"] == []
    assert exported["total"]["cost"] == 0


# ---- Number of queries


@pytest.mark.parametrize("address", ["/", "/portfolio/products", "/portfolio.csv"])
def test_thirty_products_need_as_many_queries_as_three(get: Any, make: Make, address: str) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert get(address).status_code == 200
        return len(captured)

    zones = ("Pacific/Kiritimati", "UTC", "Pacific/Midway")
    for number in range(3):
        make(f"Early {number}", "1", 4, limit="50", time_zone=zones[number])
    before = count()
    for number in range(27):
        make(f"Late {number}", "1", 4, limit="50" if number % 2 else None, time_zone=zones[number % 3])
    assert count() == before == 6  # session, user, products, limits, days, six months


def test_zones_in_different_months_need_no_more_queries(owner: Any, make: Make, clock: Any) -> None:
    products = [make(zone, time_zone=zone) for zone in ("Pacific/Kiritimati", "UTC", "Pacific/Midway")]
    with CaptureQueriesContext(connection) as before:
        read(*products)
    clock.move_to("2026-04-01T06:00:00Z")
    with CaptureQueriesContext(connection) as after:
        found = read(*products)
    assert {one.trend[-1].start.month for one in found.projects} == {3, 4}
    assert len(after) == len(before) == 3  # limits, days, six months
