"""A real Chromium on the live server. Every test that opens a page also fails if the page violates the
Content-Security-Policy, sends a request to another host or has an uncaught error.

The tests use Playwright without its pytest plugin. The plugin keeps its event loop running until the session
ends, which breaks Django's ORM and asynchronous code in every later test of the process.
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
except ImportError:  # the fixture `chromium` reports it
    expect = sync_playwright = None

PATIENCE = 20_000
"""Milliseconds to wait for a condition. Generous, because a busy machine is slow, not broken."""

Opener = Callable[..., Any]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run on one database only: the tests with Django's client show that pages don't depend on it."""
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker("browser")
            item.add_marker("once")


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """One browser per process, from the installed Chromium.

    Debian's headless shell is the same engine without windows, and opens a context in a quarter of the time.
    """
    installed = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    path = os.environ.get("CHROMIUM") or installed or "/usr/bin/chromium"
    if not os.path.exists(path):
        missing("chromium", "apt-get install chromium-headless-shell, or set CHROMIUM to another one")
    if sync_playwright is None:
        missing("playwright", "pip install -e .[test]")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as patch:
        # Playwright's event loop runs in this thread, so Django would otherwise refuse to use the ORM here.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def site(live_server: Any) -> str:
    """The URL of the live server."""
    return str(live_server.url)


@pytest.fixture
def watch(site: str) -> Iterator[Watch]:
    watch = Watch(site)
    yield watch
    assert watch.faults == []


@pytest.fixture
def open_browser(chromium: Any, site: str, watch: Watch) -> Iterator[Opener]:
    """Open a browser context: `open_browser(user, color_scheme="dark")`; signed out without a user."""
    contexts = []

    def open_context(user: Any = None, **options: Any) -> Any:
        context = chromium.new_context(**{"base_url": site, **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        watch.over(context)
        if user:
            context.add_cookies([_session_cookie(user, site)])
        return context

    yield open_context
    for context in contexts:
        context.close()


def _session_cookie(user: Any, url: str) -> dict[str, str]:
    client = Client()
    client.force_login(user)
    return {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": url}


@pytest.fixture
def page(open_browser: Opener, owner: Any) -> Any:
    """A tab with the owner signed in."""
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
    """A portfolio with products in every state, and everything that people create in one of them."""
    settings.EMAIL_URL = "smtp://mail.example.com"
    products = scenes.portfolio(project)
    scenes.busy_people(project)
    return products
