"""Lets the writers of one process take SQLite's write lock one after another.

SQLite has no queue of its own: a waiting connection tries again after up to a tenth of a second, and one
that has just come may take the lock first. Of sixteen busy threads one did nearly all the writing, while
the others waited until it had finished.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from django.conf import settings
from django.db import OperationalError, connection, transaction

_lock = Lock()


@contextmanager
def writing() -> Iterator[None]:
    """A transaction that begins once this thread may write."""
    with _queued(), transaction.atomic():
        yield


@contextmanager
def _queued() -> Iterator[None]:
    # Inside a transaction this connection has SQLite's lock already; waiting here could be a deadlock.
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    if not _lock.acquire(timeout=settings.LOCK_TIMEOUT):
        raise OperationalError("database is locked: another thread of this process is writing")
    try:
        yield
    finally:
        _lock.release()
