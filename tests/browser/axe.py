"""Accessibility checks: axe-core, and the accessibility tree that Chromium gives screen readers."""

from pathlib import Path
from typing import Any

from tests.conftest import missing

SCRIPT = Path(__file__).parents[1] / "clients" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# No preloading: it would copy imported style sheets into the page, which the page's policy forbids.
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
    """Load axe into every page of the context, as an init script: these are exempt from the page's policy."""
    if not SCRIPT.is_file():
        missing("axe-core", "cd tests/clients && npm ci")
    context.add_init_script(path=SCRIPT)
    return context


def faults(page: Any) -> list[str]:
    """Violations that axe finds, horizontal overflow, and faults of the accessibility tree."""
    page.wait_for_load_state()  # after a form is sent, the new page's style sheets may still be loading
    wrong: list[str] = page.evaluate(RUN, TAGS)
    if page.evaluate(OVERFLOW):
        wrong.append("wider than the screen")
    return wrong + tree_faults(page)


def tree_faults(page: Any) -> list[str]:
    """Roles without a name, and roles of `ONCE` that the page lacks or repeats."""
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
    value = str(node.get("role", {}).get("value", "")).lower()
    if value != "heading":
        return value
    level = next((one["value"]["value"] for one in node["properties"] if one["name"] == "level"), "")
    return f"heading {level}"


def name(node: dict[str, Any]) -> str:
    return str(node.get("name", {}).get("value", "")).strip()
