"""Export of a product's audit log, newest entry first."""

from collections.abc import Iterable, Iterator, Sequence

from aicost.exports.tabular import Cell, instant
from products.models import AuditEntry

COLUMNS = ("at", "kind", "who", "about", "address", "detail", "times", "lastAt")


def rows(entries: Iterable[AuditEntry]) -> Iterator[Sequence[Cell]]:
    for entry in entries:
        text = (entry.who_name, str(entry.about or ""), entry.address, entry.detail)
        yield (instant(entry.at), entry.kind, *text, entry.times, instant(entry.last_at))
