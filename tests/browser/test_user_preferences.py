"""What a reader's system may ask for: colours of its own, wider text, no motion, paper."""

from typing import Any

import pytest

from tests.browser import axe, scenes, states
from tests.browser.conftest import Opener, expect

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clock")]


# ---- Colours of the system

FADED = """(signs) => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => channels(colour).slice(0, 3)
    .map((value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = light(getComputedStyle(document.body).backgroundColor);
  const contrast = (colour) => {
    const [dark, bright] = [light(colour), ground].sort((one, other) => one - other);
    return (bright + 0.05) / (dark + 0.05);
  };
  const colours = (style, property) => property === "border" ? style.borderBlockEndColor : style[property];
  return signs.flatMap(([selector, property]) => {
    const found = [...document.querySelectorAll(selector)];
    if (!found.length) return [`${selector} is not there`];
    return found.filter((one) => contrast(colours(getComputedStyle(one), property)) < 3)
      .map((one) => `${selector} ${property} ${colours(getComputedStyle(one), property)}`);
  });
}"""

SIGNS = [
    *([one, "fill"] for one in (".day:not(.partial) .bar rect", ".hbar rect:not(.track)", ".y-axis text")),
    *([one, "fill"] for one in (".budget-bar .fill", ".budget-bar .range", ".budget-mark path")),
    *([one, "stroke"] for one in (".partial .bar rect",)),
    *([one, "outlineColor"] for one in (".hbar", ".budget-bar")),
    *([one, "color"] for one in (".side a:not([aria-current]) .icon", ".budget-state .icon")),
    *([one, "color"] for one in (".agent", ".tag")),
    [".tabs a[aria-current]", "border"],
]
PORTFOLIO = [[".spark rect", "fill"], [".state", "color"], [".state .icon", "color"]]
TREND = [[".column-bar", "backgroundColor"], [".column-value", "color"]]


STYLES = """([selector, property]) =>
  [...document.querySelectorAll(selector)].map((one) => getComputedStyle(one)[property])"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_of_the_system_leave_every_sign_to_be_seen(
    open_browser: Opener, owner: Any, products: dict[str, Any], scheme: str
) -> None:
    page = open_browser(owner, forced_colors="active", color_scheme=scheme).new_page()
    page.goto(scenes.url(products["busy"]))
    assert page.evaluate(FADED, SIGNS) == []
    page.goto(scenes.url(products["busy"], query="?tab=trend"))
    assert page.evaluate(FADED, TREND) == []
    page.goto("/")
    assert (
        page.evaluate(FADED, [[".spark rect", "fill"], [".state", "color"], [".state .icon", "color"]]) == []
    )


def test_colours_of_the_system_still_tell_what_is_the_current_one(
    open_browser: Opener, owner: Any, products: dict[str, Any]
) -> None:
    page = open_browser(owner, forced_colors="active").new_page()
    page.goto(scenes.url(products["busy"]))
    for links, sign in (
        (".nav a", "backgroundColor"),
        (".segments a", "backgroundColor"),
        (".tabs a", "borderBlockEndColor"),
    ):
        told = page.evaluate(
            f"[...document.querySelectorAll('{links}')].map((a) => getComputedStyle(a).{sign})"
        )
        assert sorted(told.count(one) for one in set(told)) == [1, len(told) - 1], links
    page.locator(".day").nth(20).focus()
    fills = page.locator(".day:not(.partial) .bar rect").evaluate_all(
        "(all) => all.map((one) => getComputedStyle(one).fill)"
    )
    assert [at for at, fill in enumerate(fills) if fill != fills[0]] == [20]


# ---- Wider text, as WCAG 1.4.12 has it

WIDER = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    * { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important }
    p { margin-block-end: 2em !important }`);
  document.adoptedStyleSheets.push(sheet);
}"""

CUT = """() => [...document.querySelectorAll("body *")].filter((one) => {
  if (one.matches("input, textarea, .hidden") || one.clientWidth < 2 || !one.textContent.trim()) return false;
  const { overflowX, overflowY } = getComputedStyle(one);
  const cut = (overflow) => ["hidden", "clip"].includes(overflow);
  return (cut(overflowX) && one.scrollWidth > one.clientWidth + 1)
    || (cut(overflowY) && one.scrollHeight > one.clientHeight + 1);
}).map((one) => `${one.className}: ${one.textContent.trim().slice(0, 40)}`)"""

COVERED = """() => {
  const forReaders = (one) =>
    one && (getComputedStyle(one).clipPath !== "none" || forReaders(one.parentElement));
  const texts = [...document.querySelectorAll("main *:not(.hidden, .tip, .tip *)")].filter((one) =>
    [...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim())
    && one.checkVisibility({ visibilityProperty: true }) && !forReaders(one));
  const boxes = texts.map((one) => {
    const range = document.createRange();
    range.selectNodeContents(one);
    const frame = (one.closest(".code, .scroll, .bars, .tabs") ?? document.body).getBoundingClientRect();
    const seen = ({ left, right, top, bottom }) => ({
      left: Math.max(left, frame.left), right: Math.min(right, frame.right),
      top: Math.max(top, frame.top), bottom: Math.min(bottom, frame.bottom),
    });
    return [one, [...range.getClientRects()].map(seen)];
  });
  const over = (one, other) => Math.min(one.right, other.right) - Math.max(one.left, other.left) > 2
    && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 6;
  const wrong = [];
  for (const [one, mine] of boxes) for (const [other, theirs] of boxes) {
    if (one === other || one.contains(other) || other.contains(one)) continue;
    if (mine.some((box) => theirs.some((their) => over(box, their))))
      wrong.push(`${one.textContent.trim().slice(0, 30)} / ${other.textContent.trim().slice(0, 30)}`);
  }
  return wrong;
}"""


@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.long), 320])
def test_wider_text_is_neither_cut_nor_covered(
    open_browser: Opener, owner: Any, products: dict[str, Any], width: int
) -> None:
    page = open_browser(owner, viewport={"width": width, "height": 900}).new_page()
    for address in (*states.dashboards(products), *states.of_products(products), *states.of_people()):
        page.goto(address)
        page.evaluate(WIDER)
        assert not page.evaluate(axe.OVERFLOW), address
        assert page.evaluate(CUT) == [], address
        assert page.evaluate(COVERED) == [], address


# ---- Motion


@pytest.mark.parametrize(("wish", "moving"), [("no-preference", True), ("reduce", False)])
def test_nothing_moves_for_who_wants_no_motion(
    open_browser: Opener, owner: Any, project: Any, wish: str, moving: bool
) -> None:
    page = open_browser(owner, reduced_motion=wish).new_page()
    page.goto(scenes.url(project, "connect"))
    expect(page.locator(".waiting")).to_be_visible()
    assert (page.evaluate("document.getAnimations().length") > 0) == moving


@pytest.mark.parametrize(("wish", "moving"), [("no-preference", True), ("reduce", False)])
def test_a_swap_fades_for_nobody_who_wants_no_motion(
    open_browser: Opener, owner: Any, products: dict[str, Any], wish: str, moving: bool
) -> None:
    page = open_browser(owner, reduced_motion=wish).new_page()
    page.goto(scenes.url(products["busy"]))
    page.locator("#daily .segments a").first.evaluate("(link) => link.classList.add('htmx-request')")
    faded = page.locator("#daily figure")
    duration = faded.evaluate("(one) => getComputedStyle(one).transitionDuration")
    assert (duration != "0s") == moving
    expect(faded).to_have_css("opacity", "0.55")


# ---- Paper

LINKS = (".side", ".segments", ".months a", ".downloads", ".tabs a:not([aria-current])")
NOT_ON_PAPER = (*LINKS, "summary", ".button")
ON_PAPER = ("h1", ".kpis", ".budget-bar", ".plot", ".agents", ".stepper strong", ".tabs [aria-current]")


@pytest.fixture
def paper(open_browser: Opener, owner: Any, products: dict[str, Any]) -> Any:
    page = open_browser(owner, color_scheme="dark", viewport={"width": 720, "height": 1000}).new_page()
    page.emulate_media(media="print")
    return page


def test_paper_has_the_figures_in_light_colours_and_nothing_to_press(
    paper: Any, products: dict[str, Any]
) -> None:
    paper.goto(scenes.url(products["busy"]))
    for gone in (
        ".side",
        ".segments",
        ".months a",
        ".downloads",
        "summary",
        ".button",
        ".tabs a:not([aria-current])",
    ):
        expect(paper.locator(f"{gone}:visible")).to_have_count(0)
    for there in (
        "h1",
        ".kpis",
        ".budget-bar",
        ".plot",
        ".agents",
        ".stepper strong",
        ".tabs [aria-current]",
    ):
        expect(paper.locator(there).first).to_be_visible()
    assert paper.evaluate(STYLES, [".panel", "backgroundColor"])[0] == "rgb(255, 255, 255)"
    assert paper.pdf(format="A4").startswith(b"%PDF")


def test_paper_has_the_table_behind_each_chart_with_whole_dates(paper: Any, products: dict[str, Any]) -> None:
    paper.goto(scenes.url(products["busy"], query="?tab=trend"))
    rows = paper.locator("#daily tbody tr:visible")
    expect(rows).to_have_count(30)
    expect(rows.last).to_contain_text("Tue 17 Mar 2026")
    assert rows.last.evaluate("(row) => row.getBoundingClientRect().height") > 10
    chart, table = (paper.locator(f"#daily {part}").bounding_box() for part in (".plot", "table"))
    assert chart["y"] + chart["height"] < table["y"]
    expect(paper.locator(".trend tbody tr:visible").first).to_contain_text("October 2025")


@pytest.mark.parametrize("address", ["/", "runs", "budget", "alerts", "audit", "revenue"])
def test_every_page_goes_on_paper_without_what_leads_elsewhere(
    paper: Any, products: dict[str, Any], address: str
) -> None:
    paper.goto(address if address == "/" else scenes.url(products["busy"], address))
    expect(paper.locator("nav:visible, .button:visible, .downloads:visible")).to_have_count(0)
    expect(paper.locator("h1")).to_be_visible()
    assert not paper.evaluate(axe.OVERFLOW)
