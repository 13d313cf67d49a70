"""One rollout, line by line: the deductions that it reports, and its thread's job.

A thread keeps a running count of its tokens. It writes the counter after each response, and again when the
next request starts. The difference between two counters is what a response used. A counter that falls has
begun anew or gone back to an earlier state; what the response used then stands beside it, as
`last_token_usage`. Since version 0.171 there is also a record of each response, which is preferred. A line
depends only on the lines before it, so a log that has grown gives the same events again, followed by new
ones.

The file of a fork or a subagent may begin with a copy of its parent's history, counters included. Time tells
the copy apart: it has either its old timestamps, from before the file's first line, or new ones but the
ids of turns that began before the thread did. Such an id is a UUID of version 7, which starts with its time.
"""

import re
from datetime import datetime
from typing import Any
from uuid import UUID

from billing.events import usage_event
from billing.events.price_factors import FACTOR_LENGTH
from billing.sources.codex.counter import ZERO, Counter, counter_of
from billing.sources.codex.responses import Response, Responses, response_of
from billing.sources.codex.thread import thread_of
from billing.sources.foreign_ids import foreign_id
from billing.sources.json_lines import Record, UnreadableLine, instant_of, stem_of, text_of
from products.statuses import SUCCEEDED

_THREAD_IN_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


class Rollout:
    """What is known from the lines of one file so far."""

    def __init__(self, name: str, latest: datetime) -> None:
        self._latest = latest
        stem = stem_of(name)
        named = _THREAD_IN_NAME.search(stem)
        self._thread = thread_of({}, named[0] if named else stem)
        self._first: datetime | None = None
        self._first_line = 0
        self._last: datetime | None = None
        self._began: datetime | None = None
        """When the file was begun, by its first line; earlier lines are the parent's."""
        self._is_copy = False
        """Whether the current lines are the parent's, with new timestamps."""
        self._turn_ids_have_times = False
        """Whether the ids of turns have decided that so far."""
        self._has_parent = False
        self._model = ""
        self._service_tier = ""
        self._responses = Responses()
        self._counter = ZERO
        self._states: set[tuple[Counter, Counter | None]] = set()
        """The counters so far, each with what its response used."""
        self._restarts = 0
        self._has_counted = False
        self._event_ids: set[str] = set()

    def read_line(self, number: int, record: Record) -> Record | None:
        """Return the deduction that a line reports, or None. Raises `UnreadableLine`."""
        kind, payload = record.get("type"), record.get("payload")
        at = self._instant(record)
        if not isinstance(payload, dict) or at is None:
            return None
        if kind == "session_meta":
            self._read_meta(number, at, payload)
        elif payload.get("type") == "thread_settings_applied":
            self._read_settings(payload.get("thread_settings"))
        elif kind == "turn_context" or payload.get("type") == "task_started":
            self._read_turn(payload)
        is_own = not self._is_copy and (self._began is None or at >= self._began)
        if is_own:
            self._extend(number, at)
        if kind == "token_usage_record":
            return self._read_response(number, at, payload)
        if kind == "event_msg" and payload.get("type") == "token_count":
            return self._read_count(at, payload.get("info"), is_own)
        return None

    def rest(self, now: datetime) -> list[tuple[int, Record]]:
        """The rows that the end of the file gives, with their lines."""
        rows = []
        response = self._responses.rest(now)
        if response and (row := self._row(response)):
            rows.append((response.line, row))
        if self._first:  # only now it is known when the thread was last active
            rows.append((self._first_line, self._job_row()))
        return rows

    def _read_meta(self, number: int, at: datetime, payload: Record) -> None:
        if number == 1:
            self._thread = thread_of(payload, self._thread.id)
            self._began = at
            self._has_parent = self._thread.has_parent
        elif text_of(payload, "id") not in ("", self._thread.id):  # the parent's, followed by its history
            self._is_copy = self._has_parent = True

    def _read_turn(self, payload: Record) -> None:
        self._model = text_of(payload, "model") or self._model
        turn, thread = _milliseconds(payload.get("turn_id")), _milliseconds(self._thread.id)
        if turn and thread:
            self._is_copy, self._turn_ids_have_times = turn < thread, True
        elif not self._turn_ids_have_times:  # if the ids have no time, nothing is left out
            self._is_copy = False

    def _read_settings(self, settings: Any) -> None:
        if isinstance(settings, dict) and "service_tier" in settings:
            self._service_tier = text_of(settings, "service_tier")[:FACTOR_LENGTH]

    def _extend(self, number: int, at: datetime) -> None:
        if self._first is None:
            self._first, self._first_line = at, number
        self._first = min(self._first, at)
        self._last = max(self._last or at, at)

    def _read_response(self, number: int, at: datetime, payload: Record) -> Record | None:
        if text_of(payload, "thread_id") not in ("", self._thread.id):
            return None
        uncounted = self._responses.add(response_of(number, at, payload))
        return self._row(uncounted) if uncounted else None

    def _read_count(self, at: datetime, info: Any, is_own: bool) -> Record | None:
        if info is None:  # before the first response
            return None
        if not isinstance(info, dict):
            raise UnreadableLine("info: must be an object")
        before, now = self._counter, counter_of(info, "total_token_usage")
        if now == before:
            return None
        latest = None if info.get("last_token_usage") is None else counter_of(info, "last_token_usage")
        was_there = (now, latest) in self._states
        self._counter = now
        self._states.add((now, latest))
        if not is_own:
            return None
        restarted = latest == now or not now.continues(before)
        self._restarts += restarted and self._has_counted
        found = self._responses.counted(at, now.total, latest)
        if found is None:
            used = _after_restart(now, latest, was_there) if restarted else self._used(before, now, latest)
            found = [Response(line=0, at=at, id="", used=used, total=now.total)]
        row = self._row(found[0]) if found else None
        self._has_counted |= row is not None
        return row

    def _used(self, before: Counter, now: Counter, latest: Counter | None) -> Counter:
        """What a response without a record used, by its counter."""
        if before is ZERO and self._has_parent and latest is not None:
            # The counter goes on from the parent's. If the file refers to the parent's history, this is
            # the thread's own first response; if not, it is the parent's last.
            return latest if self._thread.refers_to_history else ZERO
        return now.since(before)

    def _row(self, response: Response) -> Record | None:
        used = response.used
        if not (used.input or used.output):  # a full context window sets only the total
            return None
        return {
            "eventId": self._event_id(response),
            "occurredAt": response.at,
            **self._run_and_job(),
            "model": self._model,
            "serviceTier": self._service_tier,
            "inputTokens": max(used.input - used.cached - used.written, 0),
            "cacheReadTokens": used.cached,
            "cacheWriteTokens": used.written,
            "outputTokens": used.output,
            "callIds": [foreign_id(response.id, usage_event.CALL_ID_LENGTH)] if response.id else None,
        }

    def _event_id(self, response: Response) -> str:
        """The total identifies the response, since a counter only rises; after the n-th restart, with `#n`.

        A counter that has restarted may reach an earlier total again. The number of restarts follows from
        the lines before, which never change in a log that grows. So do the totals of compactions, which
        count in the records only: the counter may reach them later.
        """
        restarts = f"#{self._restarts}" if self._restarts else ""
        event_id = f"{self._thread.id}:{response.total}{restarts}"
        if event_id in self._event_ids:
            event_id += f"#{response.id}"
        self._event_ids.add(event_id)
        return foreign_id(event_id, usage_event.ID_LENGTH)

    def _run_and_job(self) -> Record:
        thread = self._thread
        return {
            "runId": thread.session,
            "trigger": "manual",
            "jobId": thread.id,
            "agentType": thread.agent_type,
        }

    def _job_row(self) -> Record:
        return {
            "kind": usage_event.JOB,
            "occurredAt": self._first,
            **self._run_and_job(),
            "runStartedAt": self._first,
            "runFinishedAt": self._last,
            "jobStatus": SUCCEEDED,
            "jobStartedAt": self._first,
            "jobFinishedAt": self._last,
        }

    def _instant(self, record: Record) -> datetime | None:
        text = record.get("timestamp")
        if text is None:
            if record.get("type") in ("event_msg", "token_usage_record"):
                raise UnreadableLine("has no timestamp")
            return None
        return instant_of(text, self._latest)


def _after_restart(now: Counter, latest: Counter | None, was_there: bool) -> Counter:
    """What a response without a record used whose counter does not go on from the one before."""
    if latest is None or latest == now:
        return now
    # A state that the thread has gone back to is written once more when its next request starts.
    return ZERO if was_there else latest


def _milliseconds(text: Any) -> int:
    """The milliseconds that a UUID of version 7 starts with; 0 for anything else."""
    try:
        id_ = UUID(text)
    except (TypeError, ValueError, AttributeError):
        return 0
    return id_.int >> 80 if id_.version == 7 else 0
