"""WCAG 2.2 AA: every page and state by axe and by the accessibility tree, in each look."""

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import resolve, reverse

from aicost.presentation.dashboard import tabs
from tests import every_url as every
from tests.browser import axe, scenes, states
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


def faults_of(page: Any, addresses: Iterable[str]) -> dict[str, list[str]]:
    found = {}
    for address in addresses:
        page.goto(address)
        if faults := axe.faults(page):
            found[address] = faults
    return found


# ---- None is left out


def documents(client: Client, named: dict[str, str]) -> Iterator[str]:
    """Names of whatever answers a GET with a whole document."""
    for name, address in named.items():
        response = client.get(address)
        if not response.streaming and response.content.startswith(b"<!doctype html>"):
            assert response.status_code == 200, name
            yield name


def test_no_page_is_left_out(products: dict[str, Any], owner: Any, settings: Any) -> None:
    settings.METRICS_TOKEN = "scrape"
    client = Client()
    client.force_login(owner)
    product = products["busy"].pk
    of_products = {
        name: every.page_of(product, name) for name in (*every.PAGES, *every.OF_MANAGERS, *every.OVERSIGHT)
    }
    of_people = {name: reverse(name, args=args) for name, args in every.OWN.items()}
    named = {name: address.replace("run-1", "build-0") for name, address in of_products.items()}
    there = {*documents(client, named | of_people)}
    there |= {*documents(Client(), {name: reverse(name) for name in every.OPEN})}
    assert {"ai-cost", "run", "audit", "tokens", "sign-in"} <= there
    opened = [*states.dashboards(products), *states.of_products(products), *states.of_people()]
    seen = {resolve(urlsplit(address).path).view_name for address in (*opened, *states.of_signed_out())}
    assert there - seen == set()


# ---- By whom they are opened


@looks("light")
def test_no_state_of_a_dashboard_has_a_fault(
    open_browser: Opener, owner: Any, products: dict[str, Any], look: str
) -> None:
    page = axe.ready(open_browser(owner, **LOOKS[look])).new_page()
    assert faults_of(page, states.dashboards(products)) == {}


@looks("light")
def test_no_other_page_of_a_product_has_a_fault(
    open_browser: Opener, owner: Any, products: dict[str, Any], look: str
) -> None:
    page = axe.ready(open_browser(owner, **LOOKS[look])).new_page()
    assert faults_of(page, states.of_products(products)) == {}


@looks("narrow")
def test_no_page_of_a_person_and_no_refusal_has_a_fault(
    open_browser: Opener, owner: Any, products: dict[str, Any], look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = axe.ready(open_browser(owner, **LOOKS[look])).new_page()
    assert faults_of(page, states.of_people()) == {}
    assert faults_of(page, states.refused(products)) == {}
    monkeypatch.setattr(tabs, "tabs", None)
    assert faults_of(page, [scenes.url(products["busy"])]) == {}
    expect(page.get_by_role("heading", name="Something went wrong on the server")).to_be_visible()


@looks("narrow")
def test_viewers_and_strangers_find_no_fault_either(
    open_browser: Opener, viewer: Any, stranger: Any, products: dict[str, Any], look: str
) -> None:
    page = axe.ready(open_browser(viewer, **LOOKS[look])).new_page()
    assert faults_of(page, states.of_viewers(products)) == {}
    expect(page.get_by_role("heading", name="You don't have permission to do this")).to_be_visible()
    page = axe.ready(open_browser(stranger, **LOOKS[look])).new_page()
    assert faults_of(page, states.of_strangers()) == {}


@looks("dark")
def test_signing_in_has_no_fault(
    open_browser: Opener, products: dict[str, Any], settings: Any, look: str
) -> None:
    cache.clear()
    page = axe.ready(open_browser(**LOOKS[look])).new_page()
    assert faults_of(page, states.of_signed_out()) == {}
    states.sign_in_wrongly(page, "owner")
    expect(page.get_by_role("alert")).to_be_visible()
    assert axe.faults(page) == []
    settings.AXES_FAILURE_LIMIT = 1
    states.sign_in_wrongly(page, "viewer")
    expect(page.get_by_role("heading", name="Sign-in is paused")).to_be_visible()
    assert axe.faults(page) == []


@looks("dark")
@pytest.mark.parametrize("state", states.INTERACTIONS)
def test_states_after_an_interaction_have_no_fault(
    open_browser: Opener, owner: Any, products: dict[str, Any], look: str, state: str
) -> None:
    page = axe.ready(open_browser(owner, **LOOKS[look])).new_page()
    states.INTERACTIONS[state](page, products)
    assert axe.faults(page) == []


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.long)])
@looks("light")
def test_the_admin_has_no_fault(
    open_browser: Opener, superuser: Any, products: dict[str, Any], look: str, whole: bool
) -> None:
    page = axe.ready(open_browser(superuser, **LOOKS[look])).new_page()
    assert faults_of(page, states.of_the_admin(whole=whole)) == {}


def test_the_menu_of_a_phone_has_no_fault(open_browser: Opener, owner: Any, products: dict[str, Any]) -> None:
    page = axe.ready(open_browser(owner, **LOOKS["narrow"])).new_page()
    page.goto(scenes.url(products["busy"]))
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("link", name="Alerts")).to_be_visible()
    assert axe.faults(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Alerts")).to_be_hidden()
    expect(page.get_by_role("button", name="Menu")).to_be_focused()
