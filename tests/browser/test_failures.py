"""What a page says when the server, the network, the session or JavaScript is not there."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.sessions.models import Session

from aicost.presentation.dashboard import tabs
from products.models import Membership
from tests.browser import scenes
from tests.browser.conftest import PATIENCE, Opener, expect
from tests.factories import PASSWORD

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clock")]


def assert_it_says_so_and_tries_again(page: Any, words: str, mend: Any) -> None:
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(words)
    expect(page.locator("#tabs")).to_have_attribute("data-stale", "")
    expect(page.locator(".tabs [aria-current]")).to_have_text("By Agent Type")
    expect(page.locator(".agents")).to_be_visible()
    mend()
    alert.get_by_role("button", name="Try again").click()
    expect(page.locator(".runs")).to_be_visible()
    expect(alert).to_be_hidden()
    expect(page.locator("#tabs")).not_to_have_attribute("data-stale", "")


def test_an_error_of_the_server_keeps_what_was_there(dashboard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("broken on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(tabs, "tabs", broken)
        dashboard.get_by_role("link", name="Top Pipelines").click()
        assert_it_says_so_and_tries_again(dashboard, "returned an error (500)", patch.undo)


def test_an_unreachable_server_keeps_what_was_there(dashboard: Any) -> None:
    dashboard.context.set_offline(True)
    dashboard.get_by_role("link", name="Top Pipelines").click()
    assert_it_says_so_and_tries_again(
        dashboard, "can't be reached", lambda: dashboard.context.set_offline(False)
    )


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The tabs are not answered until it is set."""
    free = threading.Event()
    answer = tabs.tabs

    def wait(*arguments: Any) -> Any:
        free.wait(PATIENCE / 1000)
        return answer(*arguments)

    monkeypatch.setattr(tabs, "tabs", wait)
    yield free
    free.set()


def test_a_server_that_does_not_answer_is_given_up(page: Any, busy: Any, hanging: threading.Event) -> None:
    hanging.set()
    page.goto(scenes.url(busy))
    hanging.clear()
    patient = page.locator("main").get_attribute("hx-request")
    set_timeout = "(main, value) => main.setAttribute('hx-request', value)"
    page.locator("main").evaluate(set_timeout, '{"timeout": 200}')
    page.get_by_role("link", name="Top Pipelines").click()

    def mend() -> None:
        hanging.set()
        page.locator("main").evaluate(set_timeout, patient)

    assert_it_says_so_and_tries_again(page, "taking too long", mend)


def test_an_expired_session_leads_to_signing_in_and_back(dashboard: Any, owner: Any) -> None:
    dashboard.get_by_role("link", name="7d").click()
    expect(dashboard.locator(".day")).to_have_count(7)
    Session.objects.all().delete()
    dashboard.get_by_role("link", name="Top Pipelines").click()
    expect(dashboard.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(dashboard.locator(".side")).to_have_count(0)
    dashboard.get_by_label("Username").fill(owner.username)
    dashboard.get_by_label("Password").fill(PASSWORD)
    dashboard.keyboard.press("Enter")
    expect(dashboard.locator(".day")).to_have_count(7)
    expect(dashboard).to_have_url(dashboard.url)


def test_who_signs_out_in_one_tab_is_signed_out_in_the_other_and_by_the_way_back(dashboard: Any) -> None:
    other = dashboard.context.new_page()
    other.goto("/")
    other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    other.go_back()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    dashboard.get_by_role("link", name="Recent Runs").click()
    expect(dashboard.get_by_role("heading", name="Sign in")).to_be_visible()


def test_who_lost_the_product_is_told_so(open_browser: Opener, viewer: Any, busy: Any) -> None:
    page = open_browser(viewer).new_page()
    page.goto(scenes.url(busy))
    Membership.objects.filter(user=viewer).delete()
    page.get_by_role("link", name="Recent Runs").click()
    expect(page.get_by_role("alert")).to_contain_text("no longer have access to this product")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_contain_text("no longer have access to this product")


def test_everything_works_without_javascript(open_browser: Opener, owner: Any, busy: Any) -> None:
    browser = open_browser(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    page = browser.new_page()
    page.goto(scenes.url(busy, query="?tab=trend"))
    page.get_by_label("Username").fill(owner.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".bars")).to_be_visible()
    page.get_by_role("link", name="7d").click()
    expect(page.locator(".day")).to_have_count(7)
    page.get_by_role("link", name="February 2026").click()
    expect(page.locator(".stepper strong")).to_have_text("February 2026")
    expect(page.locator(".bars")).to_be_visible()
    page.locator(".day").nth(3).hover()
    expect(page.locator(".day").nth(3).locator(".tip")).to_be_visible()
    page.get_by_text("Show as a table").first.click()
    expect(page.locator("#daily tbody tr")).to_have_count(7)
    page.goto(scenes.url(busy, "budget"))
    page.get_by_label("Monthly limit").fill("250")
    page.get_by_role("button", name="Save limit").click()
    expect(page.get_by_role("status")).to_contain_text("$250.00")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_menu_of_a_phone_opens_without_javascript(open_browser: Opener, owner: Any, busy: Any) -> None:
    browser = open_browser(owner, java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = browser.new_page()
    page.goto(scenes.url(busy))
    link = page.get_by_role("link", name="Revenue & Growth")
    expect(link).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    link.click()
    expect(page.get_by_role("heading", name="Revenue & Growth")).to_be_visible()
