"""Limit how long a transaction waits for locks on any machine."""

from django.db import connection


def wait_at_most(milliseconds: int) -> None:
    """Set `lock_timeout` until the transaction ends.

    `set_config()` in a query would only change the machine that executes it. Citus propagates a SET LOCAL
    to the workers, and it holds for the locks that the coordinator takes itself.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {milliseconds}")
