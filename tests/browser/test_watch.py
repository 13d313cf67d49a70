"""That the watch over all other tests sees what it is there for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.browser.watch import Watch

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def reported(page: Any, watch: Watch, words: str, event: str = "console") -> Iterator[None]:
    """The block makes Chromium report a fault, which the watch records; afterwards the test may pass."""
    with page.context.expect_event(event, lambda message: words in str(getattr(message, "error", message))):
        yield
    assert any(words in fault for fault in watch.faults)
    watch.faults = Forgotten()


class Forgotten(list[str]):
    def append(self, fault: str) -> None:
        """The same fault may be reported twice."""


def test_the_watch_sees_an_inline_style(page: Any, watch: Watch) -> None:
    page.goto("/")
    assert watch.faults == []
    with reported(page, watch, "style-src"):
        page.evaluate("document.body.innerHTML += '<p style=\"color: red\">'")


def test_the_watch_sees_a_request_that_the_policy_stops(page: Any, watch: Watch) -> None:
    page.goto("/")
    with reported(page, watch, "connect-src"):
        page.evaluate("fetch('http://127.0.0.1:9/').catch(() => null)")


def test_the_watch_sees_an_uncaught_error(page: Any, watch: Watch) -> None:
    page.goto("/")
    with reported(page, watch, "lost", event="weberror"):
        page.evaluate("setTimeout(() => { throw new Error('lost') })")


def test_the_watch_sees_a_page_of_another_host(page: Any, watch: Watch) -> None:
    page.route("http://elsewhere.example/", lambda route: route.fulfill(body="elsewhere"))
    page.goto("http://elsewhere.example/")
    assert watch.faults == ["a request to another host: http://elsewhere.example/"]
    watch.faults.clear()
