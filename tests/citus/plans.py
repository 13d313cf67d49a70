"""How the coordinator routes each statement: to how many shards it goes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection

_TASKS = re.compile(r"Task Count: (\d+)")


@dataclass(frozen=True)
class Planned:
    """A statement with the text of its plan."""

    sql: str
    plan: str

    @property
    def tasks(self) -> int:
        """The number of shards that are queried at once; 0 for tables of the coordinator alone."""
        return max(map(int, _TASKS.findall(self.plan)), default=0)


@contextmanager
def capture_plans() -> Iterator[list[Planned]]:
    """Collect the plan of every statement inside that reads or changes rows, as it is executed.

    EXPLAIN runs on a second connection: in a transaction that has written to the coordinator's own tables,
    the coordinator refuses to explain statements for other machines.
    """
    found: list[Planned] = []
    other = connection.copy()

    def explain(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        if str(sql).lstrip().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
            with other.cursor() as cursor:
                cursor.execute(f"EXPLAIN {sql}", params)
                found.append(Planned(str(sql), "\n".join(line for (line,) in cursor.fetchall())))
        return execute(sql, params, many, context)

    try:
        with connection.execute_wrapper(explain):
            yield found
    finally:
        other.close()
