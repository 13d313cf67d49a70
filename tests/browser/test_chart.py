"""The tooltips of the daily chart, by mouse, keyboard and finger."""

from typing import Any

import pytest

from tests.browser import scenes
from tests.browser.conftest import Opener, expect

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clock")]

WIDTHS = (1280, 860, 320)


def day(page: Any, number: int) -> Any:
    return page.locator(".day").nth(number)


def tip(page: Any, number: int) -> Any:
    return day(page, number).locator(".tip")


def tooltip(page: Any) -> Any:
    return page.locator(".tip:visible")


def test_pointing_at_a_day_shows_its_date_cost_tokens_and_jobs(dashboard: Any) -> None:
    requests: list[str] = []
    dashboard.on("request", lambda request: requests.append(request.url))
    day(dashboard, 28).hover()
    expect(tooltip(dashboard)).to_have_count(1)
    for words in ("Mon 16 Mar 2026", "$3.00", "123,400 tokens", "1 jobs"):
        expect(tip(dashboard, 28)).to_contain_text(words)
    day(dashboard, 27).hover()
    expect(tip(dashboard, 27)).to_be_visible()
    expect(tooltip(dashboard)).to_have_count(1)
    assert [url for url in requests if "/dashboard/" in url] == []


def test_a_tooltip_can_be_pointed_at_itself_and_escape_hides_it(dashboard: Any) -> None:
    day(dashboard, 20).hover()
    tip(dashboard, 20).hover()
    expect(tip(dashboard, 20)).to_be_visible()
    dashboard.keyboard.press("Escape")
    expect(tooltip(dashboard)).to_have_count(0)
    day(dashboard, 21).hover()
    expect(tip(dashboard, 21)).to_be_visible()


def test_arrow_keys_walk_through_the_days_which_are_one_stop_of_the_tab_key(dashboard: Any) -> None:
    dashboard.get_by_role("link", name="90d").focus()
    dashboard.keyboard.press("Tab")
    expect(day(dashboard, 29)).to_be_focused()
    expect(tip(dashboard, 29)).to_be_visible()
    for key, number in (("ArrowLeft", 28), ("Home", 0), ("ArrowLeft", 0), ("ArrowRight", 1), ("End", 29)):
        dashboard.keyboard.press(key)
        expect(day(dashboard, number)).to_be_focused()
        expect(tip(dashboard, number)).to_be_visible()
        expect(tooltip(dashboard)).to_have_count(1)
    dashboard.keyboard.press("Escape")
    expect(tooltip(dashboard)).to_have_count(0)
    dashboard.keyboard.press("Tab")
    expect(dashboard.locator("summary:focus")).to_contain_text("Show as a table")


def test_a_swapped_chart_has_its_tooltips_and_keys_at_once(dashboard: Any) -> None:
    dashboard.get_by_role("link", name="7d").click()
    expect(dashboard.locator(".day")).to_have_count(7)
    dashboard.keyboard.press("Tab")  # the focus stayed on the link that was swapped
    dashboard.keyboard.press("Tab")
    dashboard.keyboard.press("Tab")
    dashboard.keyboard.press("Tab")
    expect(day(dashboard, 6)).to_be_focused()
    dashboard.keyboard.press("ArrowLeft")
    expect(tip(dashboard, 5)).to_be_visible()
    day(dashboard, 2).hover()
    expect(tip(dashboard, 2)).to_be_visible()


def test_a_finger_shows_a_tooltip(open_browser: Opener, owner: Any, busy: Any) -> None:
    phone = open_browser(owner, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = phone.new_page()
    page.goto(scenes.url(busy, query="?range=14"))
    day(page, 5).tap()
    expect(tip(page, 5)).to_be_visible()
    day(page, 8).tap()
    expect(tip(page, 8)).to_be_visible()
    expect(tooltip(page)).to_have_count(1)


MEASURE = """() => {
  const wrong = [], links = document.querySelector(".segments").getBoundingClientRect();
  for (const day of document.querySelectorAll(".day")) {
    day.focus();
    const tip = day.querySelector(".tip"), box = tip.getBoundingClientRect();
    if (getComputedStyle(tip).visibility !== "visible") wrong.push(`hidden: ${tip.textContent}`);
    if (box.left < 0 || box.right > document.documentElement.clientWidth)
      wrong.push(`off the screen: ${tip.textContent}`);
    if (box.top < links.bottom && box.bottom > links.top && box.left < links.right && box.right > links.left)
      wrong.push(`over the range switch: ${tip.textContent}`);
  }
  return wrong;
}"""


@pytest.mark.parametrize("width", WIDTHS)
def test_no_tooltip_leaves_the_screen_or_covers_the_range_switch(
    open_browser: Opener, owner: Any, busy: Any, width: int
) -> None:
    page = open_browser(owner, viewport={"width": width, "height": 800}).new_page()
    for days in (7, 14, 30, 90):
        page.goto(scenes.url(busy, query=f"?range={days}"))
        assert (days, page.evaluate(MEASURE)) == (days, [])


def test_the_table_behind_the_chart_has_the_same_days(dashboard: Any) -> None:
    dashboard.get_by_text("Show as a table").first.click()
    rows = dashboard.locator("#daily tbody tr")
    expect(rows).to_have_count(30)
    expect(rows.nth(28)).to_contain_text("Mon 16 Mar 2026")
    expect(rows.nth(28)).to_contain_text("$3.00")
