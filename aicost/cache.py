"""Cached answers and pages about products. They are never stale, so nothing is ever invalidated.

A key contains the product's `version`, which changes with every transaction that changes what the product's
pages show, and the current day or minute. A reader that took the version just before a change may cache newer
figures under the old version, but never older figures under the new one.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache as once
from pathlib import Path
from threading import Lock
from typing import Literal, TypeVar

from django.conf import settings
from django.core.cache import caches
from django.utils import timezone

from billing import periods
from products.models import Project

Span = Literal["day", "minute"]
"""How long an answer stays valid: "day" if it depends on today's date, "minute" if on the time of day too."""

T = TypeVar("T")
MAX_AGE = 24 * 3600
"""Seconds."""
_LOCK_TIMEOUT = 5.0
"""Seconds to wait for another thread that is making the same answer. After that, make it here as well."""
_locks = [Lock() for _ in range(64)]
"""Taken while an answer is made. Several keys share a lock."""


def get_or_make(key: str, make: Callable[[], T]) -> T:
    """The answer cached under a key from `key_of`, or else the result of `make`, which is then cached.

    If several threads miss the same answer at once, one of them makes it. None is never cached. `make` must
    not call this function: it could wait for its own lock.
    """
    found: T | None = caches["answers"].get(key)
    return _make(key, make) if found is None else found


def _make(key: str, make: Callable[[], T]) -> T:
    store = caches["answers"]
    with _lock(key):
        found: T | None = store.get(key)
        if found is None:
            found = make()
            store.set(key, found, MAX_AGE)
        return found


@contextmanager
def _lock(key: str) -> Iterator[None]:
    lock = _locks[hash(key) % len(_locks)]
    acquired = lock.acquire(timeout=_LOCK_TIMEOUT)
    try:
        yield
    finally:
        if acquired:
            lock.release()


def get_or_make_many(
    what: str, span: Span, projects: Sequence[Project], make: Callable[[list[Project]], Mapping[int, T]]
) -> dict[int, T]:
    """An answer for each project, by project id. `make` is called once, with those not in the cache."""
    store = caches["project figures"]
    keys = {project.pk: key_of(what, span, project) for project in projects}
    found = store.get_many(keys.values())
    missing = [project for project in projects if keys[project.pk] not in found]
    made = make(missing) if missing else {}
    store.set_many({keys[pk]: answer for pk, answer in made.items()}, MAX_AGE)
    return {pk: made[pk] if pk in made else found[key] for pk, key in keys.items()}


def key_of(what: str, span: Span, *projects: Project) -> str:
    """A digest of everything that the answer `what` depends on, as a cache key and ETag of fixed length."""
    now = timezone.now()
    states = (f"{project.pk} {project.version} {_clock(now, project, span)}" for project in projects)
    return hashlib.blake2b("\n".join([code_digest(), what, *states]).encode(), digest_size=16).hexdigest()


def _clock(now: datetime, project: Project, span: Span) -> str:
    local = now.astimezone(periods.zone(project.time_zone))
    return f"{local:%Y-%m-%d}" if span == "day" else f"{local:%Y-%m-%dT%H:%M%z}"


@once
def code_digest() -> str:
    """A digest of the code and templates, so that browsers don't reuse pages from another version of them."""
    folders = [settings.BASE_DIR / name for name in ("aicost", "billing", "products", "templates")]
    files = sorted(path for folder in folders for path in folder.rglob("*") if _is_source(path))
    digest = hashlib.blake2b(digest_size=8)
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _is_source(path: Path) -> bool:
    return path.suffix in (".py", ".html")
