"""Claude Code session logs: one JSON object a line, one file a session, subagents in files beside it.

The logs repeat themselves: a response is written once per content block, again when a session is
resumed, and again in a subagent's own file. A billed response is therefore identified by its ids across
all files. Its earliest copy says when it happened and which agent it belongs to, its largest copy how many
tokens it took. Memory holds one entry per response and per job, never the lines.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from billing.events import usage_event
from billing.sources import Context, Item, SourceFile
from billing.sources.claude_code_lines import (
    LogSource,
    blocks_of,
    event_id_of,
    log_source,
    nested_record,
    tokens_of,
)
from billing.sources.json_lines import MAIN, Record, UnreadableLine, instant_of, read_file, text_of
from billing.sources.usage_events import read_row
from products.statuses import CANCELLED, FAILED, RUNNING, SUCCEEDED

NAME = "claude_code"

_SYNTHETIC = "<synthetic>"
"""The model of the placeholder for an API error."""
_STATUSES = {
    "completed": SUCCEEDED,
    "failed": FAILED,
    "error": FAILED,
    "cancelled": CANCELLED,
    "killed": CANCELLED,
}


def parse(files: list[SourceFile], context: Context) -> Iterator[Item]:
    log = _Log(context.now + usage_event.LATEST_AHEAD)
    for file in sorted(files, key=lambda file: file.name):
        yield from read_file(file, context, partial(log.read_line, log_source(file.name)))
    for spot, row in log.rows():
        yield Item(f"{spot.file}:{spot.line}", read_row(row, context))


class _Spot(msgspec.Struct, frozen=True, order=True):
    """Where and when a record was found, and its agent. Of several copies, the least one counts.

    `is_main` comes before the agent: of two copies with the same instant and file, the one that names
    a subagent knows more.
    """

    at: datetime
    file: str
    is_main: bool
    agent: str
    session: str
    line: int


class _Span(msgspec.Struct):
    """From the first record to the last."""

    first: _Spot
    last: datetime

    def include(self, spot: _Spot) -> None:
        self.first = min(self.first, spot)
        self.last = max(self.last, spot.at)


class _Job(_Span):
    calls: set[tuple[datetime, str]] = msgspec.field(default_factory=set)
    """(instant, tool use) of the calls that started the job, according to its records."""
    statuses: set[str] = msgspec.field(default_factory=set)


class _Response(msgspec.Struct):
    """What the copies of one billed response say so far."""

    first: _Spot
    largest: tuple[int, tuple[int, ...], str]
    """(total, counts, model) of the copy with the most tokens; the rest breaks ties, whatever the order."""


class _Log:
    """What the lines of all files say, in a form that does not depend on their order."""

    def __init__(self, latest: datetime) -> None:
        self._latest = latest
        self._sessions: dict[str, _Span] = {}
        self._jobs: dict[tuple[str, str], _Job] = {}
        self._types: dict[str, str] = {}
        """The type of subagent that each call asked for, by the call's tool use id."""
        self._responses: dict[str, _Response] = {}

    def read_line(self, source: LogSource, line: int, record: Record) -> None:
        """Add one line. Raises `UnreadableLine`; parts of the line that were read before the error count."""
        nested = nested_record(record)
        at = self._instant(record)
        if at is None:
            # Titles, summaries and the like have no time and no usage.
            if record.get("type") in ("assistant", "progress") or "toolUseResult" in record:
                raise UnreadableLine("has no timestamp")
            return
        session = source.session_of(record)
        agent = nested[0] if nested else source.agent_of(record)
        spot = _Spot(at, source.name, not agent, agent, session, line)
        self._sessions.setdefault(session, _Span(spot, at)).include(spot)
        if nested:
            self._read_nested(spot, record.get("parentToolUseID"), nested[1])
        else:
            self._read_own(spot, record)

    def _read_nested(self, around: _Spot, call: Any, record: Record) -> None:
        # The nested record has the time of the response; the one around it is written later.
        spot = msgspec.structs.replace(around, at=self._instant(record) or around.at)
        self._job(spot, call)
        self._read_own(spot, record)

    def _read_own(self, spot: _Spot, record: Record) -> None:
        """Read a record of the agent that the spot names."""
        self._job(spot)
        message = record.get("message")
        blocks = blocks_of(message)
        self._read_calls(blocks)
        self._read_result(spot, record.get("toolUseResult"), blocks)
        if record.get("type") == "assistant" or (isinstance(message, dict) and "usage" in message):
            self._read_response(spot, message, text_of(record, "requestId"))

    def _read_calls(self, blocks: list[Record]) -> None:
        for block in blocks:
            if block.get("type") == "tool_use" and block.get("name") in ("Task", "Agent"):
                call, asked = block.get("id"), block.get("input")
                agent_type = asked.get("subagent_type") if isinstance(asked, dict) else None
                if isinstance(call, str) and isinstance(agent_type, str) and agent_type.strip():
                    self._types[call] = min(self._types.get(call, agent_type), agent_type)

    def _read_result(self, spot: _Spot, result: Any, blocks: list[Record]) -> None:
        """Read the result of a subagent that its caller received."""
        agent = text_of(result, "agentId") if isinstance(result, dict) else ""
        if not agent:
            return
        calls = [block.get("tool_use_id") for block in blocks]
        job = self._job(msgspec.structs.replace(spot, agent=agent, is_main=False), *calls)
        status = result.get("status")
        job.statuses.add(_STATUSES.get(status, RUNNING) if isinstance(status, str) else RUNNING)

    def _read_response(self, spot: _Spot, message: Any, request: str) -> None:
        if not isinstance(message, dict):
            raise UnreadableLine("message: must be an object")
        model = text_of(message, "model")
        if model == _SYNTHETIC:
            return
        event_id = event_id_of(text_of(message, "id"), request)
        tokens = tokens_of(message.get("usage"))
        largest = (tokens.total, msgspec.structs.astuple(tokens), model)
        known = self._responses.setdefault(event_id, _Response(spot, largest))
        known.first = min(known.first, spot)
        known.largest = max(known.largest, largest)

    def _job(self, spot: _Spot, *calls: Any) -> _Job:
        """Return the job of the agent that the spot names, updated with its time and calls."""
        job = self._jobs.setdefault((spot.session, spot.agent), _Job(spot, spot.at))
        job.include(spot)
        job.calls.update((spot.at, call) for call in calls if isinstance(call, str))
        return job

    def _instant(self, record: Record) -> datetime | None:
        text = record.get("timestamp")
        if text is None:
            return None
        return instant_of(text, self._latest)

    def rows(self) -> Iterator[tuple[_Spot, Record]]:
        """Yield the usage events as values by field name, the jobs first."""
        for session, span in self._sessions.items():
            self._jobs.setdefault((session, ""), _Job(span.first, span.last))
        types = {key: self._agent_type(key[1], job) for key, job in self._jobs.items()}
        for key, job in sorted(self._jobs.items()):
            yield job.first, self._job_row(key, job, types[key])
        for event_id, response in sorted(self._responses.items()):
            spot = response.first
            yield spot, _deduction_row(event_id, response, types[spot.session, spot.agent])

    def _agent_type(self, agent: str, job: _Job) -> str:
        if not agent:
            return MAIN
        if agent.startswith("acompact-"):
            return "compact"
        return next((self._types[call] for _, call in sorted(job.calls) if call in self._types), "unknown")

    def _job_row(self, key: tuple[str, str], job: _Job, agent_type: str) -> Record:
        session, agent = key
        span = self._sessions[session]
        return {
            "kind": usage_event.JOB,
            "occurredAt": job.first.at,
            **_run_and_job(session, agent, agent_type),
            "runStartedAt": span.first.at,
            "runFinishedAt": span.last,
            "jobStatus": _job_status(agent, job),
            "jobStartedAt": job.first.at,
            "jobFinishedAt": job.last,
        }


def _job_status(agent: str, job: _Job) -> str:
    """Of several results, the one that wins in the ledger. Without any, the subagent may still be running."""
    if not agent:
        return SUCCEEDED
    return max(job.statuses, key=usage_event.STATUSES.index, default=RUNNING)


def _run_and_job(session: str, agent: str, agent_type: str) -> Record:
    return {"runId": session, "trigger": "manual", "jobId": agent or MAIN, "agentType": agent_type}


def _deduction_row(event_id: str, response: _Response, agent_type: str) -> Record:
    spot = response.first
    _, counts, model = response.largest
    return {
        "eventId": event_id,
        "occurredAt": spot.at,
        **_run_and_job(spot.session, spot.agent, agent_type),
        "model": model,
        **dict(zip(usage_event.TOKEN_FIELDS, counts, strict=True)),
    }
