"""A real Chromium on the live server. Every test that opens a page also fails on a violation of the
Content-Security-Policy, a request to another host or an uncaught error, whatever else it looks for.

Playwright without its pytest plugin: the plugin keeps its event loop running until the session ends, and
then Django's ORM and everything asynchronous fails in all tests that happen to follow in that process.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from tests.browser import scenes
from tests.browser.watch import Watch
from tests.conftest import missing

expect: Any
try:
    from playwright.sync_api import expect, sync_playwright
except ImportError:  # the fixture says so
    expect = sync_playwright = None

PATIENCE = 20_000
"""Milliseconds until a condition counts as not met; a busy machine is slow, not broken."""

Opener = Callable[..., Any]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A page is the same bytes from either database, as the tests with Django's client hold."""
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker("browser")
            item.add_marker("once")


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """One for each process, of the machine's own Chromium."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    if not os.path.exists(path):
        missing("chromium", "apt-get install chromium, or name another one in CHROMIUM")
    if sync_playwright is None:
        missing("playwright", "pip install -e .[test]")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as patch:
        # Its event loop runs in this thread, which alone is why Django would refuse the ORM here.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def site(live_server: Any) -> str:
    """Where the product is served."""
    return str(live_server.url)


@pytest.fixture
def watch(site: str) -> Iterator[Watch]:
    watch = Watch(site)
    yield watch
    assert watch.faults == []


@pytest.fixture
def open_browser(chromium: Any, site: str, watch: Watch) -> Iterator[Opener]:
    """A browser of its own: `open_browser(user, color_scheme="dark")`; without a user nobody is signed in."""
    contexts = []

    def open_one(user: Any = None, **options: Any) -> Any:
        context = chromium.new_context(**{"base_url": site, **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        watch.over(context)
        if user:
            context.add_cookies([_session_cookie(user, site)])
        return context

    yield open_one
    for context in contexts:
        context.close()


def _session_cookie(user: Any, url: str) -> dict[str, str]:
    client = Client()
    client.force_login(user)
    return {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": url}


@pytest.fixture
def page(open_browser: Opener, owner: Any) -> Any:
    """A tab in which the owner is signed in."""
    return open_browser(owner, viewport={"width": 1280, "height": 900}).new_page()


@pytest.fixture
def busy(project: Any) -> Any:
    return scenes.fill(project)


@pytest.fixture
def dashboard(page: Any, busy: Any) -> Any:
    page.goto(scenes.url(busy))
    return page


@pytest.fixture
def products(project: Any, settings: Any) -> dict[str, Any]:
    """A portfolio in every state, whose people are busy, too."""
    settings.EMAIL_URL = "smtp://mail.example.com"
    products = scenes.portfolio(project)
    scenes.busy_people(project)
    return products
