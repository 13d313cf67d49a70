"""Which set-ups run, and the table at the end."""

from typing import Any

import pytest

from tests.agents.comparison import Result, table

RESULTS: list[Result] = []


@pytest.fixture
def results() -> list[Result]:
    return RESULTS


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if RESULTS:
        terminalreporter.section("billed / booked")
        for line in table(RESULTS):
            terminalreporter.write_line(line)
