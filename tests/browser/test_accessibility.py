"""WCAG 2.2 AA: every page and state by axe and by the accessibility tree, the keyboard, motion, print."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import reverse

from aicost import addresses
from billing.alerts import outbox
from products.models import ApiToken
from products.tokens import issue
from tests.browser import axe, scenes
from tests.browser.conftest import Opener, expect

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clock")]

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "narrow": {"viewport": {"width": 320, "height": 640}, "color_scheme": "light"},
    # As a browser zooms: half the room in each direction, twice the pixels.
    "zoomed": {"viewport": {"width": 640, "height": 450}, "device_scale_factor": 2, "color_scheme": "dark"},
}


def looks(*short: str) -> Any:
    """The test in these looks, and at length in all."""
    marked = (pytest.param(look, marks=() if look in short else pytest.mark.long) for look in LOOKS)
    return pytest.mark.parametrize("look", list(marked))


@pytest.fixture
def products(project: Any, settings: Any) -> dict[str, Any]:
    settings.EMAIL_URL = "smtp://mail.example.com"
    return scenes.portfolio(project)


def dashboards(products: dict[str, Any]) -> Iterator[str]:
    """What a look may change: charts, tables, bars, colours of agents, forms."""
    for query in ("?tab=trend", "?tab=recent&range=7"):
        yield scenes.url(products["busy"], query=query)
    yield "/"
    yield scenes.url(products["busy"], "budget")


def other_pages(products: dict[str, Any]) -> Iterator[str]:
    busy, new = products["busy"], products["new"]
    for query in ("", "?tab=runs", "?range=90"):
        yield scenes.url(busy, query=query)
    yield scenes.url(busy, query="?month=2026-02&range=7")
    yield scenes.url(busy, query="?month=2025-01")
    for name in ("over", "near", "unlimited"):
        yield scenes.url(products[name])
    for name in ("product", "runs", "revenue", "connect", "alerts"):
        yield scenes.url(busy, name)
    for name in ("ai-cost", "product", "runs", "revenue", "connect", "alerts", "budget"):
        yield scenes.url(new, name)
    yield addresses.run_url(busy, "build-0")
    yield reverse("tokens")
    yield reverse("api")
    yield scenes.url(busy, query="?range=8")
    yield scenes.url(busy, "product") + "no-such-page"


def faults_of(page: Any, addresses: Iterator[str]) -> dict[str, list[str]]:
    found = {}
    for address in addresses:
        page.goto(address)
        if faults := axe.faults(page):
            found[address] = faults
    return found


@looks("light", "dark", "narrow")
def test_no_state_of_a_dashboard_has_a_fault(
    open_browser: Opener, owner: Any, products: dict[str, Any], look: str
) -> None:
    page = axe.ready(open_browser(owner, **LOOKS[look])).new_page()
    assert faults_of(page, dashboards(products)) == {}


@looks("light")
def test_no_other_page_has_a_fault(
    open_browser: Opener, owner: Any, products: dict[str, Any], look: str
) -> None:
    issue(owner, scope=ApiToken.Scope.READ, name="For reading")
    outbox.queue_test(products["busy"], "email")
    page = axe.ready(open_browser(owner, **LOOKS[look])).new_page()
    assert faults_of(page, other_pages(products)) == {}


@looks("narrow")
def test_a_viewer_and_somebody_signed_out_find_no_fault_either(
    open_browser: Opener, viewer: Any, products: dict[str, Any], look: str
) -> None:
    page = axe.ready(open_browser(viewer, **LOOKS[look])).new_page()
    pages = (scenes.url(products["busy"], name) for name in ("budget", "alerts", "connect"))
    assert faults_of(page, pages) == {}
    page.context.clear_cookies()
    assert faults_of(page, iter(["/"])) == {}
    page.get_by_label("Username").fill("nobody")
    page.get_by_label("Password").fill("nothing")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert axe.faults(page) == []


@looks("dark", "narrow")
def test_what_clicks_and_errors_bring_has_no_fault(
    open_browser: Opener, owner: Any, products: dict[str, Any], look: str
) -> None:
    page = axe.ready(open_browser(owner, **LOOKS[look])).new_page()
    page.goto(scenes.url(products["busy"]))
    page.locator(".day").nth(20).focus()
    page.locator("#daily summary").click()
    page.context.set_offline(True)
    page.get_by_role("link", name="Top Pipelines").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert axe.faults(page) == []
    page.context.set_offline(False)
    page.goto(scenes.url(products["busy"], "budget"))
    page.get_by_label("Monthly limit").fill("-5")
    page.get_by_role("button", name="Save limit").click()
    expect(page.locator(".error")).to_be_visible()
    assert axe.faults(page) == []
    page.goto(reverse("tokens"))
    page.get_by_label("Name").fill("Mine")
    page.get_by_role("button", name="Make token").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert axe.faults(page) == []


def test_the_menu_of_a_phone_has_no_fault(open_browser: Opener, owner: Any, products: dict[str, Any]) -> None:
    page = axe.ready(open_browser(owner, **LOOKS["narrow"])).new_page()
    page.goto(scenes.url(products["busy"]))
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("link", name="Alerts")).to_be_visible()
    assert axe.faults(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Alerts")).to_be_hidden()
    expect(page.get_by_role("button", name="Menu")).to_be_focused()
