"""Wall-clock time of a statement, and its processor time in client and server together."""

import sys
from collections.abc import Callable
from time import clock_gettime, perf_counter, thread_time
from typing import Any, NamedTuple

import psycopg

_OF_PROCESS = 2
"""With the complement of a process's id, Linux's clock id for the processor time of that process."""


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
        """Processor time; this thread's only, if the server is on another machine or this is not Linux."""
        try:
            return thread_time() + (clock_gettime(self.clock) if self.clock is not None else 0.0)
        except OSError:
            self.clock = None
            return thread_time()
