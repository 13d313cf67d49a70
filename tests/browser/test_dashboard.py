"""The dashboard in a browser: what is swapped, what the address says, and the way back."""

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from aicost.presentation.dashboard import daily
from tests.browser import scenes
from tests.browser.conftest import PATIENCE, Opener, expect

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clock")]


def days(page: Any) -> Any:
    return page.locator(".day")


def month(page: Any) -> Any:
    return page.locator(".stepper strong")


def open_tab(page: Any) -> Any:
    return page.locator(".tabs [aria-current]")


def expect_state(page: Any, **expected: str) -> None:
    """The address says this and nothing else, in whatever order it came to be."""
    pair = "|".join(f"{name}={value}" for name, value in expected.items())
    some = f"[?]({pair})(&({pair})){{{len(expected) - 1}}}" if expected else ""
    expect(page).to_have_url(re.compile(f"/ai-cost{some}$"))


def mark(page: Any) -> None:
    """What is lost when the page is loaded again."""
    page.evaluate("window.same = true")


def is_the_same(page: Any) -> bool:
    return bool(page.evaluate("window.same === true"))


def test_tabs_ranges_and_months_are_swapped_into_the_same_page(dashboard: Any) -> None:
    mark(dashboard)
    dashboard.get_by_role("link", name="7d").click()
    expect(days(dashboard)).to_have_count(7)
    for name, sign in (("Monthly Trend", ".bars"), ("Top Pipelines", ".runs"), ("Recent Runs", ".recent")):
        dashboard.get_by_role("link", name=name).click()
        expect(dashboard.locator(sign)).to_be_visible()
        expect(open_tab(dashboard)).to_have_text(name)
    dashboard.get_by_role("link", name="February 2026").click()
    expect(month(dashboard)).to_have_text("February 2026")
    expect(days(dashboard)).to_have_count(7)
    expect(open_tab(dashboard)).to_have_text("Recent Runs")
    expect_state(dashboard, tab="recent", range="7", month="2026-02")
    assert is_the_same(dashboard)


def test_a_bar_of_the_trend_leads_to_its_month(page: Any, busy: Any) -> None:
    page.goto(scenes.url(busy, query="?tab=trend"))
    page.locator(".bars").get_by_role("link", name="Jan").click()
    expect(month(page)).to_have_text("January 2026")
    expect(open_tab(page)).to_have_text("Monthly Trend")


def test_back_and_forward_walk_through_the_states(dashboard: Any) -> None:
    dashboard.get_by_role("link", name="7d").click()
    expect(days(dashboard)).to_have_count(7)
    dashboard.get_by_role("link", name="Top Pipelines").click()
    expect(dashboard.locator(".runs")).to_be_visible()
    dashboard.get_by_role("link", name="February 2026").click()
    expect(month(dashboard)).to_have_text("February 2026")

    dashboard.go_back()
    assert_shown(dashboard, "March 2026", 7, "Top Pipelines")
    dashboard.go_back()
    assert_shown(dashboard, "March 2026", 7, "By Agent Type")
    dashboard.go_back()
    assert_shown(dashboard, "March 2026", 30, "By Agent Type")
    dashboard.go_forward()
    assert_shown(dashboard, "March 2026", 7, "By Agent Type")
    dashboard.go_forward()
    assert_shown(dashboard, "March 2026", 7, "Top Pipelines")
    dashboard.go_forward()
    assert_shown(dashboard, "February 2026", 7, "Top Pipelines")
    expect(dashboard.locator(".side")).to_be_visible()


def assert_shown(page: Any, of_month: str, count: int, tab: str) -> None:
    expect(month(page)).to_have_text(of_month)
    expect(days(page)).to_have_count(count)
    expect(open_tab(page)).to_have_text(tab)
    page.wait_for_load_state()


def test_forward_is_followed_even_before_the_scripts_have_run(dashboard: Any) -> None:
    dashboard.get_by_role("link", name="7d").click()
    expect(days(dashboard)).to_have_count(7)
    held: list[Any] = []
    dashboard.route("**/js/app.js", lambda request: held.append(request), times=1)
    dashboard.go_back(wait_until="commit")
    expect(days(dashboard)).to_have_count(30)
    dashboard.go_forward(wait_until="commit")
    expect_state(dashboard, range="7")
    held.pop().continue_()
    expect(days(dashboard)).to_have_count(7)


def test_a_page_that_one_was_redirected_to_is_loaded_once(open_browser: Opener, busy: Any) -> None:
    page = open_browser().new_page()
    loaded: list[int] = []
    page.on("load", lambda: loaded.append(1))
    page.goto(scenes.url(busy))
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.evaluate("fetch('/healthz').then((answer) => answer.text())")
    assert len(loaded) == 1


def test_reload_and_a_duplicated_tab_show_the_same_state(dashboard: Any) -> None:
    dashboard.get_by_role("link", name="14d").click()
    expect(days(dashboard)).to_have_count(14)
    dashboard.get_by_role("link", name="Recent Runs").click()
    expect(dashboard.locator(".recent")).to_be_visible()
    dashboard.reload()
    other = dashboard.context.new_page()
    other.goto(dashboard.url)
    for opened in (dashboard, other):
        expect(days(opened)).to_have_count(14)
        expect(open_tab(opened)).to_have_text("Recent Runs")


def test_two_tabs_keep_a_state_each(dashboard: Any, busy: Any) -> None:
    other = dashboard.context.new_page()
    other.goto(scenes.url(busy, query="?range=90"))
    dashboard.get_by_role("link", name="7d").click()
    other.get_by_role("link", name="Top Pipelines").click()
    expect(other.locator(".runs")).to_be_visible()
    expect(days(dashboard)).to_have_count(7)
    expect(days(other)).to_have_count(90)
    expect(open_tab(dashboard)).to_have_text("By Agent Type")
    expect_state(other, range="90", tab="runs")


class Held:
    """A range of the chart whose answer waits until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
        self.asked, self.free, self.answered = threading.Event(), threading.Event(), threading.Event()
        chart = daily.chart

        def slowly(state: Any, *series: Any) -> Any:
            if state.days != held:
                return chart(state, *series)
            self.asked.set()
            self.free.wait(PATIENCE / 1000)
            self.answered.set()
            return chart(state, *series)

        monkeypatch.setattr(daily, "chart", slowly)


@pytest.fixture
def slow_90(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    held = Held(monkeypatch, 90)
    yield held
    held.free.set()


def test_a_slow_answer_never_overwrites_a_later_one(dashboard: Any, slow_90: Held) -> None:
    with dashboard.expect_request("**/daily?range=90") as slow:
        dashboard.get_by_role("link", name="90d").click()
    assert slow_90.asked.wait(PATIENCE / 1000)
    dashboard.get_by_role("link", name="7d").click()
    expect(days(dashboard)).to_have_count(7)
    slow_90.free.set()
    assert slow_90.answered.wait(PATIENCE / 1000)
    dashboard.evaluate("fetch('/healthz').then((answer) => answer.text())")
    expect(days(dashboard)).to_have_count(7)
    expect_state(dashboard, range="7")
    assert slow.value.failure, "the slow one was given up"


def test_a_tab_that_is_opened_while_the_chart_is_slow_gets_both(dashboard: Any, slow_90: Held) -> None:
    dashboard.get_by_role("link", name="90d").click()
    assert slow_90.asked.wait(PATIENCE / 1000)
    dashboard.get_by_role("link", name="Top Pipelines").click()
    expect(dashboard.locator(".runs")).to_be_visible()
    slow_90.free.set()
    expect(days(dashboard)).to_have_count(90)
    expect_state(dashboard, range="90", tab="runs")
    dashboard.reload()
    expect(days(dashboard)).to_have_count(90)
    expect(dashboard.locator(".runs")).to_be_visible()


def test_what_has_not_changed_comes_from_the_browser_itself(dashboard: Any) -> None:
    asked: list[str] = []
    statuses: dict[str, int] = {}  # of every request: which of the two events comes first is open
    session = dashboard.context.new_cdp_session(dashboard)
    session.on(
        "Network.requestWillBeSent",
        lambda event: asked.append(event["requestId"]) if "/daily" in event["request"]["url"] else None,
    )
    session.on(
        "Network.responseReceivedExtraInfo",
        lambda event: statuses.update({event["requestId"]: event["statusCode"]}),
    )
    session.send("Network.enable")
    for name, count in (("7d", 7), ("14d", 14), ("7d", 7)):
        dashboard.get_by_role("link", name=name).click()
        expect(days(dashboard)).to_have_count(count)
        while not asked or asked[-1] not in statuses:
            dashboard.wait_for_timeout(10)  # lets the events come in
    assert [statuses[one] for one in asked] == [200, 200, 304]


def test_the_budget_form_says_what_is_wrong_and_then_sets_the_limit(page: Any, busy: Any) -> None:
    page.goto(scenes.url(busy))
    page.locator(".kpis").get_by_role("link", name="Set a limit").click()
    amount = page.get_by_label("Monthly limit")
    amount.fill("-5")
    page.get_by_role("button", name="Save limit").click()
    expect(amount).to_have_attribute("aria-invalid", "true")
    expect(amount).to_have_value("-5")
    expect(page.locator(".error")).to_be_visible()
    amount.fill("250")
    page.get_by_label("Note").fill("From the browser")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("$250.00")
    expect(page.locator(".history")).to_contain_text("From the browser")
    expect(page.get_by_role("meter", name="Budget used")).to_have_count(1)
    page.reload()  # of what the form led to, never of the form: nothing is sent twice
    expect(page.locator(".history li")).to_have_count(1)
    page.get_by_role("button", name="Clear limit").click()
    expect(page.get_by_role("heading", name="Set a limit")).to_be_visible()


def test_a_form_opened_before_signing_in_anew_says_that_it_is_out_of_date(page: Any, busy: Any) -> None:
    page.goto(scenes.url(busy, "budget"))
    page.context.clear_cookies(name="csrftoken")
    page.get_by_label("Monthly limit").fill("250")
    page.get_by_role("button", name="Save limit").click()
    expect(page.get_by_role("heading", name="This form is out of date")).to_be_visible()
    page.go_back()
    page.reload()
    page.get_by_label("Monthly limit").fill("250")
    page.get_by_role("button", name="Save limit").click()
    expect(page.get_by_role("status")).to_contain_text("$250.00")
