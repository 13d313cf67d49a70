"""Wall-clock time of a statement, and the processor time that it takes of client and server together."""

import sys
from collections.abc import Callable
from time import clock_gettime, perf_counter, thread_time
from typing import Any, NamedTuple

import psycopg

_OF_PROCESS = 2
"""Linux's number for the processor time that another process has had, beside the complement of its id."""


class Took(NamedTuple):
    wall: float
    processor: float

    def __add__(self, other: Any) -> "Took":
        return Took(self.wall + other.wall, self.processor + other.processor)


NOTHING = Took(0.0, 0.0)


class Stopwatch:
    def __init__(self, connection: psycopg.Connection) -> None:
        self.clock = ~connection.info.backend_pid << 3 | _OF_PROCESS if sys.platform == "linux" else None

    def time(self, act: Callable[[], Any]) -> Took:
        processor = self._processor()
        start = perf_counter()
        act()
        wall = perf_counter() - start
        return Took(wall, self._processor() - processor)

    def _processor(self) -> float:
        """Of this thread alone where the server is on another machine, or the machine no Linux."""
        try:
            return thread_time() + (clock_gettime(self.clock) if self.clock is not None else 0.0)
        except OSError:
            self.clock = None
            return thread_time()
