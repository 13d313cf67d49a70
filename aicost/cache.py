"""What was worked out of a product once, and holds until the product changes or the clock has moved on.

Its key has the product's `version`, which every transaction that changes what is shown of the product
renews, and the day or minute: an answer that is kept can't be an old one, and nothing is ever swept
out. Who read the version just before a change may keep newer figures under it, never older ones.
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
"""How long an answer holds by the clock: one looks at today's date alone, another at the time of day, too."""

T = TypeVar("T")
FOR_AT_MOST = 24 * 3600
_PATIENCE = 5.0
"""Seconds after which one makes by oneself what another is making: never to wait for whoever is stuck."""
_makers = [Lock() for _ in range(64)]
"""By key, several keys to one: for whoever makes an answer."""


def kept(key: str, make: Callable[[], T]) -> T:
    """`make`'s answer, from the cache where it is there under `key_of`'s key. None is never kept.

    Of threads that miss the same answer at once one makes it. `make` keeps nothing in here itself.
    """
    found: T | None = caches["kept"].get(key)
    return _made(key, make) if found is None else found


def _made(key: str, make: Callable[[], T]) -> T:
    store = caches["kept"]
    with _alone(key):
        found: T | None = store.get(key)
        if found is None:
            found = make()
            store.set(key, found, FOR_AT_MOST)
        return found


@contextmanager
def _alone(key: str) -> Iterator[None]:
    maker = _makers[hash(key) % len(_makers)]
    waited = maker.acquire(timeout=_PATIENCE)
    try:
        yield
    finally:
        if waited:
            maker.release()


def of_each(
    what: str, span: Span, projects: Sequence[Project], make: Callable[[list[Project]], Mapping[int, T]]
) -> dict[int, T]:
    """An answer of each product, by its id: `make` is asked, once, for those that are not kept."""
    store = caches["of each"]
    keys = {project.pk: key_of(what, span, project) for project in projects}
    found = store.get_many(keys.values())
    missing = [project for project in projects if keys[project.pk] not in found]
    made = make(missing) if missing else {}
    store.set_many({keys[pk]: answer for pk, answer in made.items()}, FOR_AT_MOST)
    return {pk: made[pk] if pk in made else found[key] for pk, key in keys.items()}


def key_of(what: str, span: Span, *projects: Project) -> str:
    """Says everything that `what` depends on; as a digest, for it may be of any length."""
    now = timezone.now()
    told = (f"{one.pk} {one.version} {_clock(now, one, span)}" for one in projects)
    return hashlib.blake2b("\n".join([release(), what, *told]).encode(), digest_size=16).hexdigest()


def _clock(now: datetime, project: Project, span: Span) -> str:
    local = now.astimezone(periods.zone(project.time_zone))
    return f"{local:%Y-%m-%d}" if span == "day" else f"{local:%Y-%m-%dT%H:%M%z}"


@once
def release() -> str:
    """Another one for other code or templates, so that no browser takes the old version's for the new's."""
    product = [settings.BASE_DIR / name for name in ("aicost", "billing", "products", "templates")]
    files = sorted(path for folder in product for path in folder.rglob("*") if _counts(path))
    digest = hashlib.blake2b(digest_size=8)
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _counts(path: Path) -> bool:
    return path.suffix in (".py", ".html")
