"""Injects errors into a chosen database operation of a request."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

BEFORE, AFTER = "before", "after"


class Steps:
    """Counts the database operations, and makes one fail: before the database executes it, or after.

    Statements are caught by Django's cursor wrapper; COPY and COMMIT bypass it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[str] = []
        self._fails_at = -1
        self._when = BEFORE
        self._error: type[Exception] = Exception
        commit, copy = BaseDatabaseWrapper._commit, psycopg.Cursor.copy
        monkeypatch.setattr(
            BaseDatabaseWrapper, "_commit", lambda wrapper: self._step("COMMIT", commit, wrapper)
        )

        @contextmanager
        def copied(cursor: Any, sql: str, *args: Any) -> Iterator[Any]:
            fails = self._enter(sql)
            with copy(cursor, sql, *args) as rows:
                yield rows
            self._leave(fails)

        monkeypatch.setattr(psycopg.Cursor, "copy", copied)

    def __call__(self, execute: Callable, sql: str, params: Any, many: bool, context: Any) -> Any:
        return self._step(sql, execute, sql, params, many, context)

    def _step(self, name: str, act: Callable, *arguments: Any) -> Any:
        fails = self._enter(name)
        result = act(*arguments)
        self._leave(fails)
        return result

    def _enter(self, name: str) -> bool:
        self.seen.append(name)
        fails = len(self.seen) - 1 == self._fails_at
        if fails and self._when == BEFORE:
            raise self._error("injected")
        return fails

    def _leave(self, fails: bool) -> None:
        if fails:
            raise self._error("injected")

    def run(self, act: Callable[[], Any], at: int = -1, when: str = BEFORE, error: Any = Exception) -> Any:
        """Call `act` and make the step `at` fail. `seen` has the steps taken."""
        self.seen, self._fails_at, self._when, self._error = [], at, when, error
        try:
            with connection.execute_wrapper(self):
                return act()
        finally:
            self._fails_at = -1
