"""Importing files into the ledger, in batches, with a receipt for everything that was read."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import reset_queries, transaction
from django.utils import timezone

from billing import intake_counts, ledger
from billing.events.reasons import kind_of
from billing.events.usage_event import Rejection, UsageEvent
from billing.imports import prefetch
from billing.imports.formats import FORMATS, by_format
from billing.intake_counts import Counts, Kind
from billing.ledger import Outcome, sqlite_lock
from billing.sources import Context, Item, Note, Skipped
from billing.sources.files import LogFile
from products.models import Project

BATCH = 2_000
"""Events in a transaction: enough to make round trips cheap, and few enough not to hold the lock for long."""

FILES = "import"
"""What files and folders are counted under that have no format."""


@dataclass(frozen=True)
class Problem:
    """Something that was read but not recorded, or a warning about what was."""

    kind: str
    """`rejected`, `conflict`, `skipped` or `warning`."""
    origin: str
    text: str


@dataclass
class Receipt:
    """The outcomes of everything read. Job events count like others, as `recorded` or `duplicate`."""

    counts: Counter[str] = field(default_factory=Counter)
    not_understood: Counter[Kind] = field(default_factory=Counter)
    """What is rejected, in conflict or skipped, by format and reason."""
    unpriced_models: Counter[str] = field(default_factory=Counter)
    recorded_as_other: Counter[str] = field(default_factory=Counter)
    files: int = 0
    warnings: int = 0
    """About events that count as recorded or duplicate."""

    @property
    def read(self) -> int:
        return sum(self.counts.values())

    @property
    def failed(self) -> bool:
        return bool(self.counts["rejected"] or self.counts["conflict"])


Report = Callable[[Problem], None]
Progress = Callable[[int, int], None]
"""Called with the bytes read so far and those of all files."""


def import_paths(
    project: Project,
    paths: Iterable[Path],
    *,
    format_name: str | None = None,
    strict: bool = False,
    dry_run: bool = False,
    report: Report = lambda problem: None,
    progress: Progress = lambda read, total: None,
) -> Receipt:
    """Record every valid event in the files. With `strict`, record nothing if any is rejected or in conflict.

    A dry run records everything and rolls it back, so its receipt is that of the real import.
    """
    receipt = Receipt()
    with transaction.atomic() if strict or dry_run else nullcontext():  # each batch has its own
        groups = _by_format(project, paths, format_name, receipt, report)
        total = sum(file.size for files in groups.values() for file in files)
        done = 0
        for name, files in groups.items():
            advance = partial(_advance, progress, done, total)
            _import_files(project, name, files, receipt, report, advance)
            done += sum(file.size for file in files)
        if dry_run or (strict and receipt.failed):
            transaction.set_rollback(True)
    return receipt


def _advance(progress: Progress, done: int, total: int, read: int) -> None:
    progress(done + read, total)


def _by_format(
    project: Project, paths: Iterable[Path], format_name: str | None, receipt: Receipt, report: Report
) -> Mapping[str, list[LogFile]]:
    sorted_files = by_format(paths, format_name)
    receipt.files = sorted_files.number
    for origin, reason in sorted_files.problems:
        receipt.counts["rejected"] += 1
        report(Problem("rejected", origin, reason))
    for origin, reason in sorted_files.skipped:
        receipt.counts["skipped"] += 1
        report(Problem("skipped", origin, reason))
    not_read = [*sorted_files.problems, *sorted_files.skipped]
    refused = Counts(Kind(FILES, reason=kind_of(reason)) for _, reason in not_read)
    receipt.not_understood += refused
    if refused:
        with sqlite_lock.writing():
            intake_counts.add(ledger.lock(project), refused)
    return sorted_files.groups


def _import_files(
    project: Project,
    name: str,
    files: list[LogFile],
    receipt: Receipt,
    report: Report,
    advance: Callable[[int], None],
) -> None:
    context = Context(now=timezone.now(), credits_per_dollar=settings.CREDITS_PER_DOLLAR)
    with closing(prefetch.batches(FORMATS[name].parse, files, context, BATCH)) as batches:
        for batch in batches:
            _import_batch(project, name, batch.items, receipt, report)
            advance(batch.read_bytes)


def _import_batch(project: Project, name: str, batch: list[Item], receipt: Receipt, report: Report) -> None:
    events: list[tuple[str, UsageEvent | Rejection]] = []
    skipped = Counts()
    for item in batch:
        if isinstance(item.found, Skipped):
            receipt.counts["skipped"] += 1
            skipped[Kind(f"import {name}", reason=kind_of(item.found.reason))] += 1
            report(Problem("skipped", item.origin, item.found.reason))
        elif isinstance(item.found, Note):
            receipt.warnings += 1
            report(Problem("warning", item.origin, item.found.text))
        else:
            events.append((item.origin, item.found))
    outcomes = _record(project, name, [event for _, event in events], skipped, receipt)
    for (origin, event), outcome in zip(events, outcomes, strict=True):
        _count(receipt, report, origin, event, outcome)


def _record(
    project: Project, name: str, events: list[UsageEvent | Rejection], skipped: Counts, receipt: Receipt
) -> list[Outcome]:
    """Record the events, and count them and what was skipped by kind."""
    counts = Counts()

    def count_kinds(outcomes: Sequence[Outcome]) -> None:
        counts.update(skipped + intake_counts.counts_of(f"import {name}", events, outcomes))
        intake_counts.add(project, counts)

    outcomes = FORMATS[name].record(project, events, then=count_kinds)
    reset_queries()  # with DEBUG Django stores every statement, in the end the whole file
    receipt.not_understood.update({kind: number for kind, number in counts.items() if kind.reason})
    return outcomes


def _count(
    receipt: Receipt, report: Report, origin: str, event: UsageEvent | Rejection, outcome: Outcome
) -> None:
    receipt.counts[outcome.status] += 1
    if outcome.status in ("rejected", "conflict"):
        reason = f"{outcome.field}: {outcome.reason}" if outcome.field else outcome.reason
        prefix = (
            f"event {outcome.event_id}: " if outcome.event_id and not isinstance(event, Rejection) else ""
        )
        report(Problem(outcome.status, origin, prefix + reason))
    if outcome.unpriced_model is not None:
        receipt.unpriced_models[outcome.unpriced_model or "(no model given)"] += 1
    if outcome.recorded_as_other is not None:
        receipt.recorded_as_other[outcome.recorded_as_other] += 1
