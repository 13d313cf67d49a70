"""User preferences: forced colours, wider text, reduced motion, print."""

from typing import Any

import pytest

from tests.browser import axe, scenes, states
from tests.browser.conftest import Opener, expect

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clock")]


# ---- Forced colours

FAINT = """(marks) => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => channels(colour).slice(0, 3)
    .map((value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = light(getComputedStyle(document.body).backgroundColor);
  const contrast = (colour) => {
    const [dark, bright] = [light(colour), ground].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  const colours = (style, property) => property === "border" ? style.borderBlockEndColor : style[property];
  return marks.flatMap(([selector, property]) => {
    const found = [...document.querySelectorAll(selector)];
    if (!found.length) return [`${selector} is missing`];
    return found.filter((element) => contrast(colours(getComputedStyle(element), property)) < 3)
      .map((element) => `${selector} ${property} ${colours(getComputedStyle(element), property)}`);
  });
}"""

MARKS = [
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
  [...document.querySelectorAll(selector)].map((element) => getComputedStyle(element)[property])"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_mark_is_visible_with_forced_colours(
    open_browser: Opener, owner: Any, products: dict[str, Any], scheme: str
) -> None:
    page = open_browser(owner, forced_colors="active", color_scheme=scheme).new_page()
    page.goto(scenes.url(products["busy"]))
    assert page.evaluate(FAINT, MARKS) == []
    page.goto(scenes.url(products["busy"], query="?tab=trend"))
    assert page.evaluate(FAINT, TREND) == []
    page.goto("/")
    assert page.evaluate(FAINT, PORTFOLIO) == []


def test_the_current_item_stands_out_with_forced_colours(
    open_browser: Opener, owner: Any, products: dict[str, Any]
) -> None:
    page = open_browser(owner, forced_colors="active").new_page()
    page.goto(scenes.url(products["busy"]))
    for links, property in (
        (".nav a", "backgroundColor"),
        (".segments a", "backgroundColor"),
        (".tabs a", "borderBlockEndColor"),
    ):
        values = page.evaluate(
            f"[...document.querySelectorAll('{links}')].map((a) => getComputedStyle(a).{property})"
        )
        assert sorted(values.count(one) for one in set(values)) == [1, len(values) - 1], links
    page.locator(".day").nth(20).focus()
    fills = page.locator(".day:not(.partial) .bar rect").evaluate_all(
        "(all) => all.map((element) => getComputedStyle(element).fill)"
    )
    assert [at for at, fill in enumerate(fills) if fill != fills[0]] == [20]


# ---- Wider text: the spacing of WCAG 1.4.12

WIDER = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    * { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important }
    p { margin-block-end: 2em !important }`);
  document.adoptedStyleSheets.push(sheet);
}"""

CUT = """() => [...document.querySelectorAll("body *")].filter((element) => {
  if (element.matches("input, textarea, .hidden")) return false;
  if (element.clientWidth < 2 || !element.textContent.trim()) return false;
  const { overflowX, overflowY } = getComputedStyle(element);
  const cut = (overflow) => ["hidden", "clip"].includes(overflow);
  return (cut(overflowX) && element.scrollWidth > element.clientWidth + 1)
    || (cut(overflowY) && element.scrollHeight > element.clientHeight + 1);
}).map((element) => `${element.className}: ${element.textContent.trim().slice(0, 40)}`)"""

COVERED = """() => {
  const forScreenReaders = (element) =>
    element && (getComputedStyle(element).clipPath !== "none" || forScreenReaders(element.parentElement));
  const elements = [...document.querySelectorAll("main *:not(.hidden, .tip, .tip *)")].filter((element) =>
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim())
    && element.checkVisibility({ visibilityProperty: true }) && !forScreenReaders(element));
  const texts = elements.map((element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    const frame = (element.closest(".code, .scroll, .bars, .tabs") ?? document.body).getBoundingClientRect();
    const visible = ({ left, right, top, bottom }) => ({
      left: Math.max(left, frame.left), right: Math.min(right, frame.right),
      top: Math.max(top, frame.top), bottom: Math.min(bottom, frame.bottom),
    });
    return [element, [...range.getClientRects()].map(visible)];
  });
  const overlap = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 6;
  const wrong = [];
  for (const [element, boxes] of texts) for (const [other, otherBoxes] of texts) {
    if (element === other || element.contains(other) || other.contains(element)) continue;
    if (boxes.some((box) => otherBoxes.some((otherBox) => overlap(box, otherBox))))
      wrong.push(`${element.textContent.trim().slice(0, 30)} / ${other.textContent.trim().slice(0, 30)}`);
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


@pytest.mark.parametrize(("preference", "moving"), [("no-preference", True), ("reduce", False)])
def test_nothing_moves_with_reduced_motion(
    open_browser: Opener, owner: Any, project: Any, preference: str, moving: bool
) -> None:
    page = open_browser(owner, reduced_motion=preference).new_page()
    page.goto(scenes.url(project, "connect"))
    expect(page.locator(".waiting")).to_be_visible()
    assert (page.evaluate("document.getAnimations().length") > 0) == moving


@pytest.mark.parametrize(("preference", "moving"), [("no-preference", True), ("reduce", False)])
def test_a_swap_does_not_fade_with_reduced_motion(
    open_browser: Opener, owner: Any, products: dict[str, Any], preference: str, moving: bool
) -> None:
    page = open_browser(owner, reduced_motion=preference).new_page()
    page.goto(scenes.url(products["busy"]))
    page.locator("#daily .segments a").first.evaluate("(link) => link.classList.add('htmx-request')")
    faded = page.locator("#daily figure")
    duration = faded.evaluate("(element) => getComputedStyle(element).transitionDuration")
    assert (duration != "0s") == moving
    expect(faded).to_have_css("opacity", "0.55")


# ---- Print

LINKS = (".side", ".segments", ".months a", ".downloads", ".tabs a:not([aria-current])")
NOT_IN_PRINT = (*LINKS, "summary", ".button")
IN_PRINT = ("h1", ".kpis", ".budget-bar", ".plot", ".agents", ".stepper strong", ".tabs [aria-current]")


@pytest.fixture
def paper(open_browser: Opener, owner: Any, products: dict[str, Any]) -> Any:
    page = open_browser(owner, color_scheme="dark", viewport={"width": 720, "height": 1000}).new_page()
    page.emulate_media(media="print")
    return page


def test_print_has_the_figures_in_light_colours_and_no_controls(paper: Any, products: dict[str, Any]) -> None:
    paper.goto(scenes.url(products["busy"]))
    for selector in NOT_IN_PRINT:
        expect(paper.locator(f"{selector}:visible")).to_have_count(0)
    for selector in IN_PRINT:
        expect(paper.locator(selector).first).to_be_visible()
    assert paper.evaluate(STYLES, [".panel", "backgroundColor"])[0] == "rgb(255, 255, 255)"
    assert paper.pdf(format="A4").startswith(b"%PDF")


def test_print_has_the_table_behind_each_chart_with_full_dates(paper: Any, products: dict[str, Any]) -> None:
    paper.goto(scenes.url(products["busy"], query="?tab=trend"))
    rows = paper.locator("#daily tbody tr:visible")
    expect(rows).to_have_count(30)
    expect(rows.last).to_contain_text("Tue 17 Mar 2026")
    assert rows.last.evaluate("(row) => row.getBoundingClientRect().height") > 10
    chart, table = (paper.locator(f"#daily {part}").bounding_box() for part in (".plot", "table"))
    assert chart["y"] + chart["height"] < table["y"]
    expect(paper.locator(".trend tbody tr:visible").first).to_contain_text("October 2025")


@pytest.mark.parametrize("address", ["/", "runs", "budget", "alerts", "audit", "revenue"])
def test_every_page_prints_without_navigation(paper: Any, products: dict[str, Any], address: str) -> None:
    paper.goto(address if address == "/" else scenes.url(products["busy"], address))
    expect(paper.locator("nav:visible, .button:visible, .downloads:visible")).to_have_count(0)
    expect(paper.locator("h1")).to_be_visible()
    assert not paper.evaluate(axe.OVERFLOW)
