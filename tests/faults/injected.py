"""Errors put into a chosen step of what a request does to the database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

BEFORE, AFTER = "before", "after"


class Steps:
    """Counts the steps, and breaks one of them: before the database did it, or after.

    Statements come by Django's wrapper of cursors; COPY and COMMIT go past it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[str] = []
        self._breaks_at = -1
        self._when = BEFORE
        self._error: type[Exception] = Exception
        commit, copy = BaseDatabaseWrapper._commit, psycopg.Cursor.copy
        monkeypatch.setattr(BaseDatabaseWrapper, "_commit", lambda own: self._step("COMMIT", commit, own))

        @contextmanager
        def copied(own: Any, sql: str, *args: Any) -> Iterator[Any]:
            broken = self._enter(sql)
            with copy(own, sql, *args) as rows:
                yield rows
            self._leave(broken)

        monkeypatch.setattr(psycopg.Cursor, "copy", copied)

    def __call__(self, execute: Callable, sql: str, params: Any, many: bool, context: Any) -> Any:
        return self._step(sql, execute, sql, params, many, context)

    def _step(self, name: str, act: Callable, *arguments: Any) -> Any:
        broken = self._enter(name)
        result = act(*arguments)
        self._leave(broken)
        return result

    def _enter(self, name: str) -> bool:
        self.seen.append(name)
        broken = len(self.seen) - 1 == self._breaks_at
        if broken and self._when == BEFORE:
            raise self._error("injected")
        return broken

    def _leave(self, broken: bool) -> None:
        if broken:
            raise self._error("injected")

    def run(self, act: Callable[[], Any], at: int = -1, when: str = BEFORE, error: Any = Exception) -> Any:
        """`act`, with the step `at` broken; the steps that were made are in `seen`."""
        self.seen, self._breaks_at, self._when, self._error = [], at, when, error
        try:
            with connection.execute_wrapper(self):
                return act()
        finally:
            self._breaks_at = -1
