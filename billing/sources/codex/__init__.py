"""Codex session logs: `rollout-<time>-<thread>.jsonl`, one file a thread, one JSON object a line.

A session has a thread for the user's agent, and one for each subagent and review.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from billing.events import usage_event
from billing.events.usage_event import DEDUCTION, UsageEvent
from billing.sources import Context, Item, SourceFile
from billing.sources.codex.rollout import Rollout
from billing.sources.json_lines import read_file
from billing.sources.usage_events import read_row

NAME = "codex"


def parse(files: list[SourceFile], context: Context) -> Iterator[Item]:
    for file in sorted(files, key=lambda file: file.name):
        for item in _parse_file(file, context):
            if isinstance(item.found, UsageEvent):
                item = Item(item.origin, _with_origin(item.found))
            yield item


def _with_origin(event: UsageEvent) -> UsageEvent:
    """Earlier versions of this product recorded each thread as a run of its own."""
    sender = NAME if event.kind == DEDUCTION else ""
    earlier_run = event.job_id if event.job_id != event.run_id else ""
    return replace(event, sender=sender, earlier_run_id=earlier_run)


def _parse_file(file: SourceFile, context: Context) -> Iterator[Item]:
    rollout = Rollout(file.name, context.now + usage_event.LATEST_AHEAD)
    yield from read_file(file, context, rollout.read_line)
    for line, row in rollout.rest(context.now):
        yield Item(f"{file.name}:{line}", read_row(row, context))
