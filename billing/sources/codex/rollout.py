"""Codex session logs: `rollout-<time>-<session>.jsonl`, one file a session, one JSON object a line.

A session keeps a running count of its tokens. It writes the counter after each response, and again when
the next request starts. The difference between two counters is what a response used. A line depends only
on the lines before it, so a log that has grown gives the same events again, followed by new ones.

The file of a fork or a subagent begins with a copy of its parent's history, counters included. Time tells
the copy apart: it has either its old timestamps, from before the file's first line, or new ones but the
ids of turns that began before the session did. Such an id is a UUID of version 7, which starts with its time.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from billing.events import usage_event
from billing.sources import Context, Item, SourceFile
from billing.sources.json_lines import (
    MAIN,
    Record,
    UnreadableLine,
    count_of,
    instant_of,
    read_file,
    stem_of,
    text_of,
)
from billing.sources.usage_events import read_row
from products.statuses import SUCCEEDED

NAME = "codex"

_SESSION_IN_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


def parse(files: list[SourceFile], context: Context) -> Iterator[Item]:
    for file in sorted(files, key=lambda file: file.name):
        yield from _parse_file(file, context)


def _parse_file(file: SourceFile, context: Context) -> Iterator[Item]:
    session = _Session(file.name, context.now + usage_event.LATEST_AHEAD)
    yield from read_file(file, context, session.read_line)
    # Last, since only the end of the file says when the session was last active.
    if session.first:
        yield Item(f"{file.name}:{session.first_line}", read_row(session.job_row(), context))


class Counter(msgspec.Struct, frozen=True):
    """What a session has used up to one response. `input` includes cached tokens."""

    input: int
    cached: int
    written: int
    output: int
    total: int

    def continues(self, before: "Counter") -> bool:
        """Whether this counter goes on from the other. If any count fell, it has restarted."""
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(before), strict=True)
        return self.total > before.total and all(now >= then for now, then in pairs)

    def since(self, before: "Counter") -> "Counter":
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(before), strict=True)
        return Counter(*(now - then for now, then in pairs))


ZERO = Counter(0, 0, 0, 0, 0)


class _Session:
    """What is known from the lines of one file so far."""

    def __init__(self, name: str, latest: datetime) -> None:
        self._latest = latest
        stem = stem_of(name)
        named = _SESSION_IN_NAME.search(stem)
        self.id = named[0] if named else stem
        self.first: datetime | None = None
        self.first_line = 0
        self._last: datetime | None = None
        self._began: datetime | None = None
        """When the file was begun, by its first line; earlier lines are the parent's."""
        self._is_copy = False
        """Whether the current lines are the parent's, with new timestamps."""
        self._turn_ids_have_times = False
        """Whether the ids of turns have decided that so far."""
        self._has_parent = False
        self._model = ""
        self._counter = ZERO
        self._restarts = 0
        self._has_deduction = False

    def read_line(self, number: int, record: Record) -> Record | None:
        """Return the deduction that a line reports, or None. Raises `UnreadableLine`."""
        kind, payload = record.get("type"), record.get("payload")
        at = self._instant(record)
        if not isinstance(payload, dict) or at is None:
            return None
        if kind == "session_meta":
            self._read_meta(number, at, payload)
        elif kind == "turn_context" or payload.get("type") == "task_started":
            self._read_turn(payload)
        is_own = not self._is_copy and (self._began is None or at >= self._began)
        if is_own:
            self._extend(number, at)
        if kind == "event_msg" and payload.get("type") == "token_count":
            return self._read_count(at, payload.get("info"), is_own)
        return None

    def _read_meta(self, number: int, at: datetime, payload: Record) -> None:
        # A subagent's `session_id` is its parent's; `id` is its own.
        session = text_of(payload, "id")
        if number == 1:
            self.id = session or self.id
            self._began = at
            self._has_parent = _names_a_parent(payload)
        elif session and session != self.id:  # the parent's, followed by its history
            self._is_copy = self._has_parent = True

    def _read_turn(self, payload: Record) -> None:
        self._model = text_of(payload, "model") or self._model
        turn, session = _milliseconds(payload.get("turn_id")), _milliseconds(self.id)
        if turn and session:
            self._is_copy, self._turn_ids_have_times = turn < session, True
        elif not self._turn_ids_have_times:  # if the ids have no time, nothing is left out
            self._is_copy = False

    def _extend(self, number: int, at: datetime) -> None:
        if self.first is None:
            self.first, self.first_line = at, number
        self.first = min(self.first, at)
        self._last = max(self._last or at, at)

    def _read_count(self, at: datetime, info: Any, is_own: bool) -> Record | None:
        if info is None:  # before the first response
            return None
        if not isinstance(info, dict):
            raise UnreadableLine("info: must be an object")
        before, now = self._counter, _counter(info.get("total_token_usage"))
        if now == before:
            return None
        latest = info.get("last_token_usage")
        is_first = latest is not None and _counter(latest) == now  # nothing was used before
        restarted = is_first or not now.continues(before)
        self._counter = now
        if not is_own or (before is ZERO and self._has_parent and latest is not None and not is_first):
            # The parent's counter, without the history that led to it.
            return None
        return self._deduction(at, now, ZERO if restarted else before, restarted)

    def _deduction(self, at: datetime, now: Counter, before: Counter, restarted: bool) -> Record | None:
        self._restarts += restarted and self._has_deduction
        used = now.since(before)
        if not (used.input or used.output):  # a full context window sets only the total
            return None
        self._has_deduction = True
        return {
            "eventId": self._event_id(now.total),
            "occurredAt": at,
            **self._run_and_job(),
            "model": self._model,
            "inputTokens": max(used.input - used.cached - used.written, 0),
            "cacheReadTokens": used.cached,
            "cacheWriteTokens": used.written,
            "outputTokens": used.output,
        }

    def _event_id(self, total: int) -> str:
        """The total identifies the response, since a counter only rises; after the n-th restart, with `#n`.

        A counter that has restarted may reach an earlier total again. The number of restarts follows from
        the lines before, which never change in a log that grows.
        """
        return f"{self.id}:{total}#{self._restarts}" if self._restarts else f"{self.id}:{total}"

    def _run_and_job(self) -> Record:
        return {"runId": self.id, "trigger": "manual", "jobId": self.id, "agentType": MAIN}

    def job_row(self) -> Record:
        return {
            "kind": usage_event.JOB,
            "occurredAt": self.first,
            **self._run_and_job(),
            "runStartedAt": self.first,
            "runFinishedAt": self._last,
            "jobStatus": SUCCEEDED,
            "jobStartedAt": self.first,
            "jobFinishedAt": self._last,
        }

    def _instant(self, record: Record) -> datetime | None:
        text = record.get("timestamp")
        if text is None:
            if record.get("type") == "event_msg":
                raise UnreadableLine("has no timestamp")
            return None
        return instant_of(text, self._latest)


def _names_a_parent(meta: Record) -> bool:
    source = meta.get("source")
    return bool(
        meta.get("forked_from_id")
        or meta.get("parent_thread_id")
        or (isinstance(source, dict) and source.get("subagent"))
    )


def _milliseconds(text: Any) -> int:
    """The milliseconds that a UUID of version 7 starts with; 0 for anything else."""
    try:
        id_ = UUID(text)
    except (TypeError, ValueError, AttributeError):
        return 0
    return id_.int >> 80 if id_.version == 7 else 0


def _counter(usage: Any) -> Counter:
    if not isinstance(usage, dict):
        raise UnreadableLine("total_token_usage: must be an object")
    used, output = count_of(usage, "input_tokens"), count_of(usage, "output_tokens")
    counter = Counter(
        input=used,
        cached=count_of(usage, "cached_input_tokens"),
        written=count_of(usage, "cache_write_input_tokens"),
        output=output,
        total=count_of(usage, "total_tokens") or used + output,
    )
    if counter.cached > counter.input:
        raise UnreadableLine("cached_input_tokens: is part of input_tokens and can't exceed it")
    return counter
