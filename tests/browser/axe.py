"""axe-core, and what Chromium tells screen readers of a page."""

from pathlib import Path
from typing import Any

from tests.conftest import missing

SCRIPT = Path(__file__).parents[1] / "clients" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# Without preloading, which would copy style sheets that import others into the page, against its policy.
RUN = """async (tags) => {
  const { violations } = await axe.run({ runOnly: tags, resultTypes: ["violations"], preload: false });
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 160)}`));
}"""

OVERFLOW = "document.documentElement.scrollWidth > document.documentElement.clientWidth"

NEED_A_NAME = {
    *("button", "checkbox", "combobox", "figure", "image", "img", "link", "listbox", "meter", "navigation"),
    *("radio", "region", "searchbox", "spinbutton", "textbox"),
}
ONCE = ("main", "heading 1")


def ready(context: Any) -> Any:
    """Every page of it has axe: as an init script, which the policy of the page does not concern."""
    if not SCRIPT.is_file():
        missing("axe-core", "cd tests/clients && npm ci")
    context.add_init_script(path=SCRIPT)
    return context


def faults(page: Any) -> list[str]:
    """What axe finds, text that must be scrolled sideways, and what a screen reader can't tell."""
    page.wait_for_load_state()  # the style sheets of a page that a form brought may still be on the way
    wrong: list[str] = page.evaluate(RUN, TAGS)
    if page.evaluate(OVERFLOW):
        wrong.append("wider than the screen")
    return wrong + untold(page)


def untold(page: Any) -> list[str]:
    """Faults of the accessibility tree: roles without a name, none or two of what a page has once."""
    nodes = [node for node in tree(page) if not node.get("ignored")]
    roles = [role(node) for node in nodes]
    return [
        f"{role(node)} without a name" for node in nodes if role(node) in NEED_A_NAME and not name(node)
    ] + [f"{roles.count(one)} × {one}" for one in ONCE if roles.count(one) != 1]


def tree(page: Any) -> list[dict[str, Any]]:
    session = page.context.new_cdp_session(page)
    nodes: list[dict[str, Any]] = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    return nodes


def role(node: dict[str, Any]) -> str:
    told = str(node.get("role", {}).get("value", "")).lower()
    if told != "heading":
        return told
    level = next((one["value"]["value"] for one in node["properties"] if one["name"] == "level"), "")
    return f"heading {level}"


def name(node: dict[str, Any]) -> str:
    return str(node.get("name", {}).get("value", "")).strip()
