"""Writers of one process take turns on SQLite, which knows no queue of its own.

There whoever waits for the lock looks for it again after up to a tenth of a second, and whoever comes
anew takes it before: of sixteen busy threads one wrote nearly all, and others waited until it had ended.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from django.conf import settings
from django.db import OperationalError, connection, transaction

_turn = Lock()


@contextmanager
def writing() -> Iterator[None]:
    """A transaction, begun when it is this thread's turn."""
    with _in_turn(), transaction.atomic():
        yield


@contextmanager
def _in_turn() -> Iterator[None]:
    # Inside a transaction the lock is held already: to wait for a turn then could wait for ever.
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    if not _turn.acquire(timeout=settings.LOCK_TIMEOUT):
        raise OperationalError("database is locked: other threads of this process write")
    try:
        yield
    finally:
        _turn.release()
