"""Users and products that all tests share, and a frozen clock."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn

import hypothesis
import pytest
import time_machine

from tests import citus

# Django's models are imported inside the fixtures: the tests of pure modules need no settings.

NOW = datetime(2026, 3, 17, 12, 0, tzinfo=UTC)
"""The time of the frozen clock: a Tuesday in the middle of a month."""


# Tests must not depend on the machine's speed, so there is no deadline and no "too slow".
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")


def missing(what: str, how: str) -> NoReturn:
    """Skip a test whose tool is missing, and say how to get it. In CI, fail instead."""
    reason = f"{what} is missing: {how}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a DJANGO_SETTINGS_MODULE that would run the tests on the product's database."""
    chosen = os.environ.get("DJANGO_SETTINGS_MODULE")
    if config.pluginmanager.hasplugin("django") and chosen not in (None, "", "tests.settings"):
        raise pytest.UsageError(f"unset DJANGO_SETTINGS_MODULE, which names {chosen}, not tests.settings")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests marked long, too")
    parser.addoption("--agents", action="store_true", help="run the tests marked agents, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Not `missing`: no package registry has a cluster, so CI may lack one.
    name, reason = "citus", "needs a cluster: CITUS_URL=… python -m tests.with_citus pytest"
    if citus.in_use():
        name, reason = "unspread", "takes the database back to before its tables were spread"
    for item in items:
        if item.get_closest_marker(name):
            item.add_marker(pytest.mark.skip(reason=reason))
    left_out = set() if config.getoption("--agents") else {"agents"}
    if not config.getoption("--long"):
        left_out.add("long")
        if os.environ.get("TEST_DATABASE_URL", "").startswith("postgres"):
            left_out.add("once")
    out = {item for item in items if any(item.get_closest_marker(name) for name in left_out)}
    if out:
        config.hook.pytest_deselected(items=list(out))
        items[:] = [item for item in items if item not in out]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what fault-injection tests recorded by `record_property("faults", …)`."""
    reports = terminalreporter.stats.get("passed", [])
    faults = [
        (report.nodeid, value)
        for report in reports
        for name, value in report.user_properties
        if name == "faults"
    ]
    if faults:
        terminalreporter.section("injected faults")
    for test, value in faults:
        terminalreporter.write_line(f"{test}\n    {value}")


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_blocker: Any, django_db_modify_db_settings: None
) -> Iterator[None]:
    """Instead of pytest-django's, with which each process would migrate an empty database."""
    from tests import databases

    with django_db_blocker.unblock():
        before = databases.create()
    yield
    with django_db_blocker.unblock():
        databases.destroy(before)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """Frozen at `NOW` until a test moves it (`clock.move_to`, `clock.shift`)."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def owner(db: None) -> Any:
    from tests.factories import UserFactory

    return UserFactory(username="owner")


@pytest.fixture
def manager(db: None) -> Any:
    from tests.factories import UserFactory

    return UserFactory(username="manager")


@pytest.fixture
def viewer(db: None) -> Any:
    from tests.factories import UserFactory

    return UserFactory(username="viewer")


@pytest.fixture
def stranger(db: None) -> Any:
    """A user without access to the project."""
    from tests.factories import UserFactory

    return UserFactory(username="stranger")


@pytest.fixture
def staff(db: None) -> Any:
    """A user who may use the admin; outside it a stranger."""
    from tests.factories import UserFactory

    return UserFactory(username="staff", is_staff=True)


@pytest.fixture
def superuser(db: None) -> Any:
    from tests.factories import UserFactory

    return UserFactory(username="superuser", is_staff=True, is_superuser=True)


@pytest.fixture
def project(owner: Any, manager: Any, viewer: Any) -> Any:
    """A product of `owner` with the members `manager` and `viewer`."""
    from tests.factories import MembershipFactory, ProjectFactory

    project = ProjectFactory(name="Lighthouse", owner=owner)
    MembershipFactory(project=project, user=manager, role="manager")
    MembershipFactory(project=project, user=viewer, role="viewer")
    return project


@pytest.fixture
def other_project(stranger: Any) -> Any:
    """A product of someone else."""
    from tests.factories import ProjectFactory

    return ProjectFactory(name="Windmill", owner=stranger)
