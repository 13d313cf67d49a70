"""The Connect page on phones."""

from typing import Any

import pytest

from tests.browser import axe, scenes
from tests.browser.conftest import Opener, expect

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clock")]


@pytest.mark.parametrize("width", [320, 390])
def test_long_names_of_what_was_not_understood_fit(
    open_browser: Opener, owner: Any, project: Any, width: int
) -> None:
    scenes.not_understood(project)
    page = open_browser(owner, viewport={"width": width, "height": 800}).new_page()
    page.goto(scenes.url(project, "connect"))
    expect(page.get_by_text("No usage yet")).to_be_visible()
    expect(page.get_by_text("of 5 other kinds")).to_be_visible()
    assert not page.evaluate(axe.OVERFLOW)
    assert (
        page.evaluate(
            "[...document.querySelectorAll('.panel dd, .notice span, .setup li')]"
            ".filter(one => one.scrollWidth > one.clientWidth + 1 && one.clientWidth).length"
        )
        == 0
    )
