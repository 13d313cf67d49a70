"""Importing files into the ledger, in batches, with a receipt for everything that was read."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import reset_queries, transaction
from django.utils import timezone

from billing import ledger
from billing.events.usage_event import Rejection
from billing.imports import prefetch
from billing.ledger import Outcome, running_totals
from billing.sources import (
    BrokenFile,
    Context,
    Item,
    Note,
    Parse,
    Skipped,
    claude_code,
    codex,
    litellm,
    usage_events,
)
from billing.sources.agent_logs import agent_of_log
from billing.sources.discovery import discover
from billing.sources.files import LogFile
from billing.sources.guess import guess_format
from products.models import Project

BATCH = 2_000
"""Events in a transaction: enough to make round trips cheap, and few enough not to hold the lock for long."""

Record = Callable[..., list[Outcome]]


@dataclass(frozen=True)
class Format:
    parse: Parse
    record: Record = ledger.record
    reads_companions: bool = False
    """Whether files beside the logs say more about them."""


FORMATS = {
    usage_events.NAME: Format(usage_events.parse),
    claude_code.NAME: Format(claude_code.parse, running_totals.record, reads_companions=True),
    codex.NAME: Format(codex.parse),
    litellm.NAME: Format(litellm.parse),
}


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
        groups = _by_format(paths, format_name, receipt, report)
        total = sum(file.size for files in groups.values() for file in files)
        done = 0
        for name, files in groups.items():
            advance = partial(_advance, progress, done, total)
            _import_files(project, FORMATS[name], files, receipt, report, advance)
            done += sum(file.size for file in files)
        if dry_run or (strict and receipt.failed):
            transaction.set_rollback(True)
    return receipt


def _advance(progress: Progress, done: int, total: int, read: int) -> None:
    progress(done + read, total)


def _by_format(
    paths: Iterable[Path], format_name: str | None, receipt: Receipt, report: Report
) -> Mapping[str, list[LogFile]]:
    groups: dict[str, list[LogFile]] = {}
    found = discover(paths)
    for path, reason in found.problems:
        _reject(receipt, report, str(path), reason)
    for file in found.files:
        receipt.files += 1
        try:
            name = format_name or guess_format(file)
        except BrokenFile as broken:
            _reject(receipt, report, f"{file.name}:{broken.line}", broken.reason)
            continue
        if name:
            groups.setdefault(name, []).append(file)
        else:
            _reject(receipt, report, file.name, _why_no_format(file))
    for name, files in groups.items():
        if FORMATS[name].reads_companions:
            files += found.companions
    if not found.files:
        for file in found.companions:
            _reject(receipt, report, file.name, "it describes a log beside it; import the log's folder")
    return groups


def _why_no_format(file: LogFile) -> str:
    agent = agent_of_log(file)
    if agent:
        return f"this is a log of {agent}; its format can't be imported"
    return "its format can't be guessed from its content; use --format"


def _reject(receipt: Receipt, report: Report, origin: str, reason: str) -> None:
    receipt.counts["rejected"] += 1
    report(Problem("rejected", origin, reason))


def _import_files(
    project: Project,
    format_: Format,
    files: list[LogFile],
    receipt: Receipt,
    report: Report,
    advance: Callable[[int], None],
) -> None:
    context = Context(now=timezone.now(), credits_per_dollar=settings.CREDITS_PER_DOLLAR)
    with closing(prefetch.batches(format_.parse, files, context, BATCH)) as batches:
        for batch in batches:
            _import_batch(project, format_.record, batch.items, receipt, report)
            advance(batch.read_bytes)


def _import_batch(
    project: Project, record: Record, batch: list[Item], receipt: Receipt, report: Report
) -> None:
    events = []
    for item in batch:
        if isinstance(item.found, Skipped):
            receipt.counts["skipped"] += 1
            report(Problem("skipped", item.origin, item.found.reason))
        elif isinstance(item.found, Note):
            receipt.warnings += 1
            report(Problem("warning", item.origin, item.found.text))
        else:
            events.append(item)
    outcomes = record(project, [item.found for item in events])
    reset_queries()  # with DEBUG Django stores every statement, in the end the whole file
    for item, outcome in zip(events, outcomes, strict=True):
        _count(receipt, report, item, outcome)


def _count(receipt: Receipt, report: Report, item: Item, outcome: Outcome) -> None:
    receipt.counts[outcome.status] += 1
    if outcome.status in ("rejected", "conflict"):
        reason = f"{outcome.field}: {outcome.reason}" if outcome.field else outcome.reason
        prefix = (
            f"event {outcome.event_id}: "
            if outcome.event_id and not isinstance(item.found, Rejection)
            else ""
        )
        report(Problem(outcome.status, item.origin, prefix + reason))
    if outcome.unpriced_model is not None:
        receipt.unpriced_models[outcome.unpriced_model or "(no model given)"] += 1
    if outcome.recorded_as_other is not None:
        receipt.recorded_as_other[outcome.recorded_as_other] += 1
