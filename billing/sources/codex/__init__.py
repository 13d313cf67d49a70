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
            found = item.found
            if isinstance(found, UsageEvent) and found.kind == DEDUCTION:
                item = Item(item.origin, replace(found, sender=NAME))
            yield item


def _parse_file(file: SourceFile, context: Context) -> Iterator[Item]:
    rollout = Rollout(file.name, context.now + usage_event.LATEST_AHEAD)
    yield from read_file(file, context, rollout.read_line)
    for line, row in rollout.rest(context.now):
        yield Item(f"{file.name}:{line}", read_row(row, context))
