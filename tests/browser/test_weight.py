"""The first view as a production server sends it: hashed, compressed, light, and never moving."""

import re
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from django.core.management import call_command
from django.test.testcases import LiveServerThread

from tests.browser import scenes
from tests.browser.conftest import Opener, expect
from tests.receivers import answering

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clock")]

MOST = 100_000
"""Bytes over the network, headers and all, with nothing kept from before."""

SHIFTS = """window.shifts = [];
new PerformanceObserver((list) => shifts.push(...list.getEntries().map(
    (one) => [one.value, ...one.sources.map((source) => source.node?.className ?? "text")])))
    .observe({ type: "layout-shift", buffered: true });"""

SHIFTED = (
    "new Promise((done) => { const look = () => (shifts.length ? done() : setTimeout(look, 20)); look(); })"
)
"""Waits for a shift. Not `wait_for_function`, which the page's policy forbids to evaluate its text again."""


@pytest.fixture
def site(transactional_db: None, settings: Any, tmp_path: Any) -> Iterator[str]:
    """As in production: WhiteNoise serves what `collectstatic` has hashed and compressed."""
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}
    }
    settings.STATIC_ROOT = tmp_path
    settings.WHITENOISE_AUTOREFRESH = False
    call_command("collectstatic", interactive=False, verbosity=0, ignore_patterns=["admin"])
    server = LiveServerThread("127.0.0.1", static_handler=lambda application: application)
    server.daemon = True
    server.start()
    server.is_ready.wait()
    assert server.error is None
    yield f"http://127.0.0.1:{server.port}"
    server.terminate()


@pytest.fixture
def busy(project: Any) -> Any:
    scenes.fill(project)
    scenes.limit(project, 200)
    return project


class Traffic:
    """What came over the network to a page."""

    def __init__(self, page: Any) -> None:
        self.urls: dict[str, str] = {}
        self.sizes: dict[str, int] = {}
        session = page.context.new_cdp_session(page)
        session.on("Network.responseReceived", self._response)
        session.on("Network.loadingFinished", self._finished)
        session.send("Network.enable")

    def _response(self, event: Any) -> None:
        self.urls[event["requestId"]] = event["response"]["url"]

    def _finished(self, event: Any) -> None:
        if event["requestId"] in self.urls:  # Else its response came before the session began.
            self.sizes[self.urls[event["requestId"]]] = event["encodedDataLength"]


@pytest.mark.parametrize("query", ["", "?range=90&tab=recent"])
def test_the_first_view_takes_less_than_100_kb_and_nothing_moves(
    open_browser: Opener, owner: Any, busy: Any, query: str
) -> None:
    page = open_browser(owner, viewport={"width": 1280, "height": 900}).new_page()
    page.add_init_script(SHIFTS)
    traffic = Traffic(page)
    page.goto(scenes.url(busy, query=query), wait_until="networkidle")
    kinds = {url.rpartition(".")[2] for url in traffic.sizes}
    assert {"css", "js"} <= kinds
    assert not kinds & {"woff", "woff2", "ttf", "otf"}
    assert 20_000 < sum(traffic.sizes.values()) < MOST, traffic.sizes
    assert page.evaluate("shifts") == []
    page.evaluate("document.querySelector('.kpis').before('What comes late moves the rest.')")
    page.evaluate(SHIFTED)


PIECES, PAUSE = 12, 0.1
"""In which a page trickles in, and the seconds between two: time enough to paint what has come."""


@pytest.fixture
def slow_line(site: str) -> Iterator[str]:
    """The same site at the end of a line so slow that the browser paints what has come so far."""

    class Line(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            behind = HTTPConnection(site.removeprefix("http://"))
            behind.request("GET", self.path, headers={"cookie": self.headers.get("cookie", "")})
            with behind.getresponse() as answer:
                body, kind = answer.read(), answer.getheader("content-type", "")
            behind.close()
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            pieces = PIECES if kind.startswith("text/html") else 1
            for number in range(pieces):
                self.wfile.write(body[len(body) * number // pieces : len(body) * (number + 1) // pieces])
                time.sleep(PAUSE if pieces > 1 else 0)

        def log_message(self, *arguments: Any) -> None:
            """Nothing: the site itself has a log."""

    with answering(Line) as url:
        yield url


@pytest.mark.parametrize(("query", "width"), [("", 390), ("?range=90&tab=recent", 1280)])
def test_what_has_come_stays_where_it_is_while_the_rest_trickles_in(
    open_browser: Opener, owner: Any, busy: Any, slow_line: str, watch: Any, query: str, width: int
) -> None:
    page = open_browser(owner, viewport={"width": width, "height": 900}).new_page()
    watch.home = slow_line
    page.add_init_script(SHIFTS)
    page.goto(slow_line + scenes.url(busy, query=query), wait_until="networkidle")
    assert page.evaluate("shifts") == []


@pytest.mark.parametrize("width", [1280, 390])
def test_a_swap_moves_nothing_above_it(open_browser: Opener, owner: Any, busy: Any, width: int) -> None:
    page = open_browser(owner, viewport={"width": width, "height": 900}).new_page()
    page.goto(scenes.url(busy))
    top = "document.querySelector('#daily').getBoundingClientRect().top + scrollY"
    bottom = "document.querySelector('#tabs').getBoundingClientRect().top + scrollY"
    before = page.evaluate(f"[{top}, {bottom}]")
    for days in (7, 14, 90):
        page.get_by_role("link", name=f"{days}d").click()
        expect(page.locator(".day")).to_have_count(days)
        assert page.evaluate(f"[{top}, {bottom}]") == before
    page.get_by_role("link", name="Recent Runs").click()
    expect(page.locator(".recent")).to_be_visible()
    assert page.evaluate(f"[{top}, {bottom}]") == before


def test_a_second_view_fetches_the_page_alone(open_browser: Opener, owner: Any, busy: Any, site: str) -> None:
    page = open_browser(owner).new_page()
    page.goto(scenes.url(busy), wait_until="networkidle")
    traffic = Traffic(page)
    page.goto(scenes.url(busy, "budget"), wait_until="networkidle")
    assert [url for url, size in traffic.sizes.items() if size] == [site + scenes.url(busy, "budget")]


def test_static_files_are_hashed_compressed_and_kept_for_ever(
    open_browser: Opener, owner: Any, busy: Any
) -> None:
    page = open_browser(owner).new_page()
    answers: list[Any] = []
    page.on("response", lambda answer: answers.append(answer) if "/static/" in answer.url else None)
    page.goto(scenes.url(busy), wait_until="networkidle")
    assert len(answers) >= 5
    for answer in answers:
        assert re.search(r"\.[0-9a-f]{12}\.(css|js|svg)$", answer.url)
        assert "immutable" in answer.headers["cache-control"]
        if not answer.url.endswith(".svg"):
            assert answer.headers["content-encoding"] == "gzip"
