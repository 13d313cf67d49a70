"""Using the pages with the keyboard alone, and with a screen reader."""

from typing import Any

import pytest
from django.urls import reverse

from tests.browser import axe, scenes
from tests.browser.conftest import expect

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clock")]


@pytest.fixture
def busy(project: Any) -> Any:
    scenes.fill(project)
    scenes.limit(project, 200)
    return project


@pytest.fixture
def dashboard(page: Any, busy: Any) -> Any:
    page.goto(scenes.url(busy))
    return page


STOP = """() => {
  const at = document.activeElement, box = at.getBoundingClientRect(), style = getComputedStyle(at);
  const height = Math.min(box.height, innerHeight);
  const above = document.elementFromPoint(box.x + box.width / 2, box.y + height / 2);
  return {
    name: at.textContent.trim().replace(/\\s+/g, " ").slice(0, 40),
    id: [...document.querySelectorAll("*")].indexOf(at),
    marked: style.outlineStyle !== "none" || style.boxShadow !== "none",
    inside: box.width > 0 && box.bottom > 0 && box.top < innerHeight,
    uncovered: at.contains(above) || above?.contains(at),
  };
}"""

STOPS = """() => {
  const all = [...document.querySelectorAll("*")];
  const kinds = "a[href], button, input, select, textarea, summary, [tabindex='0']";
  return [...document.querySelectorAll(kinds)]
    .filter((element) => element.tabIndex >= 0 && element.checkVisibility({ visibilityProperty: true }))
    .filter(({ type, checked }) => type !== "hidden" && (type !== "radio" || checked))
    .map((element) => all.indexOf(element));
}"""


PRODUCT_PAGES = ("ai-cost", "budget", "alerts", "connect", "members", "audit", "runs", "product")


@pytest.mark.parametrize("name", [*PRODUCT_PAGES, "portfolio", "tokens", "security"])
def test_the_tab_key_reaches_everything_in_order_and_the_focus_is_visible(
    page: Any, busy: Any, name: str
) -> None:
    page.goto(scenes.url(busy, name) if name in PRODUCT_PAGES else reverse(name))
    expected = page.evaluate(STOPS)
    assert len(expected) > 7
    stops = []
    for _ in expected:
        page.keyboard.press("Tab")
        stops.append(page.evaluate(STOP))
    assert [stop["id"] for stop in stops] == expected
    for flag in ("marked", "inside", "uncovered"):
        assert [stop["name"] for stop in stops if not stop[flag]] == [], flag
    assert stops[0]["name"] == "Skip to content"


def test_the_first_stop_skips_the_sidebar(dashboard: Any) -> None:
    dashboard.keyboard.press("Tab")
    dashboard.keyboard.press("Enter")
    dashboard.keyboard.press("Tab")
    expect(dashboard.get_by_role("link", name="February 2026")).to_be_focused()


def test_enter_swaps_the_content_and_keeps_the_focus(dashboard: Any) -> None:
    for name, content in (("Top Pipelines", ".runs"), ("Monthly Trend", ".bars")):
        dashboard.get_by_role("link", name=name).focus()
        dashboard.keyboard.press("Enter")
        expect(dashboard.locator(content)).to_be_visible()
        expect(dashboard.get_by_role("link", name=name)).to_be_focused()
    dashboard.locator("#month-previous").focus()
    dashboard.keyboard.press("Enter")
    expect(dashboard.locator(".stepper strong")).to_have_text("February 2026")
    expect(dashboard.locator("#month-previous")).to_be_focused()
    dashboard.locator(".months-present").focus()
    dashboard.keyboard.press("Enter")
    expect(dashboard.locator(".stepper strong")).to_have_text("March 2026")
    expect(dashboard.locator("#month-previous")).to_be_focused()


def test_the_limit_can_be_set_without_a_mouse(page: Any, busy: Any) -> None:
    page.goto(scenes.url(busy, "budget"))
    page.get_by_label("Monthly limit").focus()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("300")
    page.keyboard.press("Tab")
    page.keyboard.type("By the keyboard")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("status")).to_contain_text("$300.00")
    expect(page.locator(".history")).to_contain_text("By the keyboard")


def test_a_screen_reader_finds_the_parts_of_the_dashboard(dashboard: Any) -> None:
    parts = [(axe.role(node), axe.name(node)) for node in axe.tree(dashboard) if not node.get("ignored")]
    for part in (
        ("heading 1", "AI Cost & Budget"),
        ("navigation", "Product"),
        ("navigation", "Month"),
        ("navigation", "Days to show"),
        ("navigation", "Details"),
        ("region", "Budget"),
        ("meter", "Budget used"),
        ("region", "Daily spend Last 30 days, 16 Feb – 17 Mar 2026"),
        ("figure", "Daily spend Last 30 days, 16 Feb – 17 Mar 2026"),
        ("image", "Mon 16 Mar 2026 $3.00 123,400 tokens · 1 jobs"),
        ("region", "Details of March 2026"),
        ("table", "Spend by agent type, March 2026"),
        ("table", "Cost by agent type, 1–17 Mar compared with 1–17 Feb"),
        ("table", "Spend on failed and cancelled jobs, and cost per job, by agent type, March 2026"),
        ("link", "February 2026"),
    ):
        assert part in parts, part


def test_a_screen_reader_finds_the_parts_of_the_portfolio(page: Any, busy: Any) -> None:
    page.goto("/")
    parts = [(axe.role(node), axe.name(node)) for node in axe.tree(page) if not node.get("ignored")]
    for part in (
        ("heading 1", "All products"),
        ("navigation", "Main"),
        ("navigation", "Filter by budget"),
        ("region", "Products"),
        ("table", "Products. Spend, highest first"),
        ("rowheader", "Lighthouse owner"),
    ):
        assert part in parts, [one for one in parts if one[0] == part[0]]
    assert page.locator("[aria-sort]").all_inner_texts() == ["Spend"]
    expect(page.locator("[aria-sort]")).to_have_attribute("aria-sort", "descending")
    expect(page.locator(".filters [aria-current]")).to_have_accessible_name("All 1")


def test_a_screen_reader_is_told_the_current_link(dashboard: Any) -> None:
    expect(dashboard.locator(".side [aria-current=page]")).to_have_accessible_name("AI Cost & Budget")
    expect(dashboard.locator(".segments [aria-current]")).to_have_accessible_name("30d")
    expect(dashboard.locator(".tabs [aria-current=page]")).to_have_accessible_name("By Agent Type")
    dashboard.get_by_role("link", name="7d").click()
    expect(dashboard.locator(".segments [aria-current]")).to_have_accessible_name("7d")


def test_an_invalid_limit_has_its_error_as_description(page: Any, busy: Any) -> None:
    page.goto(scenes.url(busy, "budget"))
    page.get_by_label("Monthly limit").fill("0.001")
    page.get_by_role("button", name="Save limit").click()
    expect(page.get_by_label("Monthly limit")).to_have_accessible_description(
        page.locator(".error").inner_text().strip()
    )
