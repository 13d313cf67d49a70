"""What the coordinator makes of each statement: to how many shards it goes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection

_TASKS = re.compile(r"Task Count: (\d+)")


@dataclass(frozen=True)
class Planned:
    sql: str
    plan: str

    @property
    def tasks(self) -> int:
        """The most of any of its parts; 0 where only the coordinator's own tables are asked."""
        return max(map(int, _TASKS.findall(self.plan)), default=0)


@contextmanager
def plans_read() -> Iterator[list[Planned]]:
    """Of every statement inside that reads or changes rows, as it is executed.

    The coordinator is asked over a connection of its own: amid a transaction that has written on the
    coordinator itself, it refuses to say what it would do elsewhere.
    """
    found: list[Planned] = []
    other = connection.copy()

    def read(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        if str(sql).lstrip().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
            with other.cursor() as cursor:
                cursor.execute(f"EXPLAIN {sql}", params)
                found.append(Planned(str(sql), "\n".join(line for (line,) in cursor.fetchall())))
        return execute(sql, params, many, context)

    try:
        with connection.execute_wrapper(read):
            yield found
    finally:
        other.close()
