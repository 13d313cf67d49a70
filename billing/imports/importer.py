"""Files → events → the ledger, in batches, with a receipt of what became of everything read."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.db import reset_queries, transaction
from django.utils import timezone

from billing import ledger
from billing.events.usage_event import Rejection
from billing.imports import prefetch
from billing.ledger import Outcome, running_totals
from billing.sources import Context, Item, Parse, Skipped, claude_code, codex, litellm, usage_events
from billing.sources.files import LogFile, discover, guess_format
from products.models import Project

BATCH = 2_000
"""Events in one transaction: its round trips cost little, and nobody waits long for the lock."""

Record = Callable[..., list[Outcome]]


@dataclass(frozen=True)
class Format:
    parse: Parse
    record: Record = ledger.record


FORMATS = {
    usage_events.NAME: Format(usage_events.parse),
    claude_code.NAME: Format(claude_code.parse, running_totals.record),
    codex.NAME: Format(codex.parse),
    litellm.NAME: Format(litellm.parse),
}


@dataclass(frozen=True)
class Problem:
    """Something read that was not booked, or not as the sender would think."""

    kind: str
    """`rejected`, `conflict` or `skipped`."""
    origin: str
    text: str


@dataclass
class Receipt:
    """What became of everything read. Job events count as events, and read `recorded` or `duplicate`."""

    counts: Counter[str] = field(default_factory=Counter)
    unpriced_models: Counter[str] = field(default_factory=Counter)
    recorded_as_other: Counter[str] = field(default_factory=Counter)
    files: int = 0

    @property
    def read(self) -> int:
        return sum(self.counts.values())

    @property
    def failed(self) -> bool:
        return bool(self.counts["rejected"] or self.counts["conflict"])


Report = Callable[[Problem], None]
Progress = Callable[[int], None]
"""Called with the bytes of the files read so far."""


def import_paths(
    project: Project,
    paths: Iterable[Path],
    *,
    format_name: str | None = None,
    strict: bool = False,
    dry_run: bool = False,
    report: Report = lambda problem: None,
    progress: Progress = lambda read: None,
) -> Receipt:
    """Record everything good in the files. With `strict` nothing, if anything is rejected or in conflict.

    A dry run does all of it and takes it back, so that its receipt is that of the real one.
    """
    receipt = Receipt()
    with transaction.atomic() if strict or dry_run else _each_batch_for_itself():
        for format_, files in _by_format(paths, format_name, receipt, report):
            _import_files(project, format_, files, receipt, report, progress)
        if dry_run or (strict and receipt.failed):
            transaction.set_rollback(True)
    return receipt


class _each_batch_for_itself:  # noqa: N801  # reads as a context manager where it is used
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def _by_format(
    paths: Iterable[Path], format_name: str | None, receipt: Receipt, report: Report
) -> Iterator[tuple[Format, list[LogFile]]]:
    groups: dict[str, list[LogFile]] = {}
    for path in paths:
        try:
            files = list(discover([path]))
        except FileNotFoundError:
            _reject(receipt, report, str(path), "there is no such file or folder")
            continue
        for file in files:
            receipt.files += 1
            name = format_name or guess_format(file)
            if name:
                groups.setdefault(name, []).append(file)
            else:
                _reject(receipt, report, file.name, "its format can't be told from its content; say --format")
    for name, files in groups.items():
        yield FORMATS[name], files


def _reject(receipt: Receipt, report: Report, origin: str, reason: str) -> None:
    receipt.counts["rejected"] += 1
    report(Problem("rejected", origin, reason))


def _import_files(
    project: Project,
    format_: Format,
    files: list[LogFile],
    receipt: Receipt,
    report: Report,
    progress: Progress,
) -> None:
    context = Context(now=timezone.now(), credits_per_dollar=settings.CREDITS_PER_DOLLAR)
    with closing(prefetch.pieces(format_.parse, files, context, BATCH)) as pieces:
        for piece in pieces:
            _import_batch(project, format_.record, piece.items, receipt, report)
            progress(piece.read_bytes)


def _import_batch(
    project: Project, record: Record, batch: list[Item], receipt: Receipt, report: Report
) -> None:
    events = []
    for item in batch:
        if isinstance(item.found, Skipped):
            receipt.counts["skipped"] += 1
            report(Problem("skipped", item.origin, item.found.reason))
        else:
            events.append(item)
    outcomes = record(project, [item.found for item in events])
    reset_queries()  # with DEBUG Django keeps every statement, and would keep the whole file by and by
    for item, outcome in zip(events, outcomes, strict=True):
        _count(receipt, report, item, outcome)


def _count(receipt: Receipt, report: Report, item: Item, outcome: Outcome) -> None:
    receipt.counts[outcome.status] += 1
    if outcome.status in ("rejected", "conflict"):
        reason = f"{outcome.field}: {outcome.reason}" if outcome.field else outcome.reason
        about = (
            f"event {outcome.event_id}: "
            if outcome.event_id and not isinstance(item.found, Rejection)
            else ""
        )
        report(Problem(outcome.status, item.origin, about + reason))
    if outcome.unpriced_model is not None:
        receipt.unpriced_models[outcome.unpriced_model or "(no model told)"] += 1
    if outcome.recorded_as_other is not None:
        receipt.recorded_as_other[outcome.recorded_as_other] += 1
