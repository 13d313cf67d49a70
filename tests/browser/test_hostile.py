"""Hostile names in a real browser: nothing of them runs, and the policy has nothing to stop."""

from typing import Any

import pytest

from products.models import Project
from tests import every_url as every
from tests.browser import states
from tests.browser.conftest import Opener
from tests.test_odd_names import NAMES, every_address, odd

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clock")]

__all__ = ["odd"]

OF_A_NAME = "[onerror], [onfocus], main script:not([src]), body img[src=x]"
"""What stands in a document only where a name became a part of it."""


# Each walks over every page; without a browser `tests/test_odd_names.py` has them all every time.
LATER = ("an attribute's end", "a script's end", "an override of direction")


@pytest.fixture(params=["html", *(pytest.param(one, marks=pytest.mark.long) for one in LATER)])
def name(request: pytest.FixtureRequest) -> str:
    return NAMES[request.param]


@pytest.fixture
def page(open_browser: Opener, superuser: Any) -> Any:
    """In which whatever runs that is not ours would be noticed: the watch sees the rest."""
    page = open_browser(superuser).new_page()
    page.ran = []
    page.on("dialog", lambda dialog: page.ran.append(dialog.message) or dialog.dismiss())
    return page


def pages_of(project: Project) -> list[str]:
    exports = ("export", "portfolio.", "pipelines.", "audit.", "revenue.", "budget.", "/run/")
    pages = [address for address in every_address(project) if not any(part in address for part in exports)]
    return [*pages, *states.of_the_admin(whole=False)]


def test_hostile_names_run_nothing_on_any_page(page: Any, odd: Project, name: str) -> None:
    read = 0
    for address in (*pages_of(odd), every.page_of(odd.pk, "audit")):
        page.goto(address)
        read += name.split()[0] in page.locator("body").inner_text()
        assert page.locator(OF_A_NAME).count() == 0, address
    assert page.ran == []
    assert read > 5


def test_hostile_names_run_nothing_in_what_is_swapped_in(page: Any, odd: Project, name: str) -> None:
    page.goto(every.page_of(odd.pk, "ai-cost"))
    for tab in ("Top Pipelines", "By Agent Type", "Recent Runs"):
        page.get_by_role("link", name=tab).click()
        page.locator(f".tabs [aria-current] >> text={tab}").wait_for()
    assert name.split()[0] in page.locator("#tabs").inner_text()
    assert page.ran == []
