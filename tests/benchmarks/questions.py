"""The product's own queries, as the statements that it executes, recorded on their way."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.benchmarks import databases

RANGE = 90
"""Days of the daily question."""


class Statement(NamedTuple):
    sql: str
    params: tuple[Any, ...]


class Asked(NamedTuple):
    """A question in a database: the statements executed for it, and the result."""

    statements: tuple[Statement, ...]
    answer: Any


def ask(database: str, product: str) -> dict[str, Asked]:
    """Ask about that product and all its owner's products, with empty caches."""
    from django.core.cache import caches

    with databases.using(database):
        caches["project figures"].clear()  # the products of the databases have the same numbers
        return {name: _asked(question) for name, question in _questions(product).items()}


def _questions(name: str) -> dict[str, Callable[[], Any]]:
    from aicost import queries
    from products.access import Caller
    from products.models import Project

    project = Project.objects.select_related("owner").get(name=name)
    caller = Caller(project.owner)
    return {
        "month summary": lambda: (queries.month_summary(project), queries.top_runs(project)),
        "6 months": lambda: queries.monthly_trend(project),
        "90 days": lambda: queries.daily_spend(project, RANGE),
        "last 50": lambda: queries.recent(project),
        "50 products": lambda: queries.portfolio(caller.owned()),
        "50 products, 1 changed": lambda: queries.portfolio(_one_changed(caller.owned(), project.pk)),
    }


def _one_changed(projects: Any, changed: int) -> list[Any]:
    """The queries that run after an event of that product."""
    from products.models import new_version

    found = list(projects)
    for project in found:
        if project.pk == changed:
            project.version = new_version()
    return found


def _asked(question: Callable[[], Any]) -> Asked:
    from django.db import connection

    taken: list[Statement] = []

    def take(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        taken.append(Statement(sql, tuple(params or ())))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(take):
        answer = question()
    return Asked(tuple(taken), answer)
