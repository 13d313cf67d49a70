"""Claude Code session logs: one JSON object a line, one file a session, subagents in files beside it.

The logs repeat themselves: a response is written once per content block, again where a session is
resumed, and again in a subagent's own file. A billed response is therefore found by its ids across
all files; its earliest copy says when and whose it was, its largest how many tokens it took. What
is kept while reading is small: one entry per response and per job, never the lines.
"""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

import msgspec

from billing import events
from billing.events import Rejection, Tokens, shown
from billing.sources import BrokenFile, Context, Item, Skipped, SourceFile, json_decoder
from billing.sources.usage_events import read_row

NAME = "claude_code"

MAIN = "main"
_SYNTHETIC = "<synthetic>"
"""The model of the placeholder that stands for an API error."""
_STATUSES = {
    "completed": "succeeded",
    "failed": "failed",
    "error": "failed",
    "cancelled": "cancelled",
    "killed": "cancelled",
}
_BOM = b"\xef\xbb\xbf"
_ENDING = re.compile(r"(\.jsonl|\.ndjson)?(\.gz)?$")
_SUFFIX_ROOM = 20
"""Characters that the ledger may append to an event id when the response has grown."""

_Record = dict[str, Any]


def parse(files: list[SourceFile], context: Context) -> Iterator[Item]:
    log = _Log(context.now + events.LATEST_AHEAD)
    for file in sorted(files, key=lambda file: file.name):
        yield from _read_file(file, log)
    for spot, row in log.rows():
        yield Item(f"{spot.file}:{spot.line}", read_row(row, context))


def _read_file(file: SourceFile, log: "_Log") -> Iterator[Item]:
    """Read one file into the log; yields what of it can't be read."""
    source = _source(file.name)
    try:
        for number, line in file.lines():
            try:
                log.take(source, number, _decode(line.removeprefix(_BOM) if number == 1 else line))
            except _UnreadableError as error:
                yield Item(f"{file.name}:{number}", Skipped(reason=str(error)))
    except BrokenFile as broken:
        yield Item(f"{file.name}:{broken.line}", Rejection(reason=broken.reason))


class _UnreadableError(Exception):
    """Why a line, or the usage in it, can't be read."""


def _decode(line: bytes) -> _Record:
    if not line.strip():
        return {}
    try:
        value = json_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _UnreadableError(f"not valid JSON: {error}") from None
    except RecursionError:
        raise _UnreadableError("not valid JSON: nested too deeply") from None
    if not isinstance(value, dict):
        raise _UnreadableError("not a JSON object")
    return value


class _Source(msgspec.Struct, frozen=True):
    """What a file's name tells of its records. A session of "" is told by the records only."""

    name: str
    stem: str
    session: str
    agent: str

    def session_of(self, record: _Record) -> str:
        return self.session or _text(record, "sessionId") or self.stem

    def agent_of(self, record: _Record) -> str:
        """The subagent whose record it is; "" for the main agent."""
        named = _text(record, "agentId") if record.get("isSidechain") is True else ""
        return named or self.agent


def _source(name: str) -> _Source:
    path = PurePath(name)
    stem = _ENDING.sub("", path.name)
    for folder in path.parents:
        if folder.name == "subagents":
            session = folder.parent.name.removeprefix("..")
            return _Source(name, stem, session, stem.removeprefix("agent-"))
    if stem.startswith("agent-"):  # older versions lay subagents' files beside the sessions'
        return _Source(name, stem, "", stem.removeprefix("agent-"))
    return _Source(name, stem, stem, "")


class _Spot(msgspec.Struct, frozen=True, order=True):
    """Where and when a record was found, and whose it is. The lesser of two copies owns what they repeat.

    `is_main` comes before the agent: of two copies at one instant in one file, the one that names
    a subagent knows more.
    """

    at: datetime
    file: str
    is_main: bool
    agent: str
    session: str
    line: int


class _Span(msgspec.Struct):
    """From a first record to a last."""

    first: _Spot
    last: datetime

    def include(self, spot: _Spot) -> None:
        self.first = min(self.first, spot)
        self.last = max(self.last, spot.at)


class _Job(_Span):
    calls: set[tuple[datetime, str]] = msgspec.field(default_factory=set)
    """(instant, tool use) of the calls that records of the job name as its start."""
    statuses: set[str] = msgspec.field(default_factory=set)


class _Response(msgspec.Struct):
    """What is known of one billed response from its copies so far."""

    first: _Spot
    largest: tuple[int, tuple[int, ...], str]
    """(total, counts, model) of the copy with the most tokens; the rest breaks ties, whatever the order."""


class _Log:
    """What the lines of all files tell, in a form that does not depend on their order."""

    def __init__(self, latest: datetime) -> None:
        self._latest = latest
        self._sessions: dict[str, _Span] = {}
        self._jobs: dict[tuple[str, str], _Job] = {}
        self._types: dict[str, str] = {}
        """The type of subagent that each call asked for, by the call's tool use id."""
        self._responses: dict[str, _Response] = {}

    def take(self, source: _Source, line: int, record: _Record) -> None:
        """Take in one line. Raises `_UnreadableError`; what was read of the line before stands."""
        nested = _nested(record)
        at = self._instant(record)
        if at is None:
            # Titles, summaries and the like have no time, and nothing to book.
            if record.get("type") in ("assistant", "progress") or "toolUseResult" in record:
                raise _UnreadableError("has no timestamp")
            return
        session = source.session_of(record)
        agent = nested[0] if nested else source.agent_of(record)
        spot = _Spot(at, source.name, not agent, agent, session, line)
        self._sessions.setdefault(session, _Span(spot, at)).include(spot)
        if nested:
            self._take_nested(spot, record.get("parentToolUseID"), nested[1])
        else:
            self._take_own(spot, record)

    def _take_nested(self, around: _Spot, call: Any, record: _Record) -> None:
        # The record within has the time of the response; the one around it is written later.
        spot = msgspec.structs.replace(around, at=self._instant(record) or around.at)
        self._job(spot, call)
        self._take_own(spot, record)

    def _take_own(self, spot: _Spot, record: _Record) -> None:
        """A record of the agent that the spot names."""
        self._job(spot)
        message = record.get("message")
        blocks = _blocks(message)
        self._take_calls(blocks)
        self._take_result(spot, record.get("toolUseResult"), blocks)
        if record.get("type") == "assistant" or (isinstance(message, dict) and "usage" in message):
            self._take_response(spot, message, _text(record, "requestId"))

    def _take_calls(self, blocks: list[_Record]) -> None:
        for block in blocks:
            if block.get("type") == "tool_use" and block.get("name") in ("Task", "Agent"):
                call, asked = block.get("id"), block.get("input")
                kind = asked.get("subagent_type") if isinstance(asked, dict) else None
                if isinstance(call, str) and isinstance(kind, str) and kind.strip():
                    self._types[call] = min(self._types.get(call, kind), kind)

    def _take_result(self, spot: _Spot, result: Any, blocks: list[_Record]) -> None:
        """What the caller of a subagent was told of it."""
        agent = _text(result, "agentId") if isinstance(result, dict) else ""
        if not agent:
            return
        calls = [block.get("tool_use_id") for block in blocks]
        job = self._job(msgspec.structs.replace(spot, agent=agent, is_main=False), *calls)
        status = result.get("status")
        job.statuses.add(_STATUSES.get(status, "running") if isinstance(status, str) else "running")

    def _take_response(self, spot: _Spot, message: Any, request: str) -> None:
        if not isinstance(message, dict):
            raise _UnreadableError("message: is no object")
        model = _text(message, "model")
        if model == _SYNTHETIC:
            return
        event_id = _event_id(_text(message, "id"), request)
        tokens = _tokens(message.get("usage"))
        largest = (tokens.total, msgspec.structs.astuple(tokens), model)
        known = self._responses.setdefault(event_id, _Response(spot, largest))
        known.first = min(known.first, spot)
        known.largest = max(known.largest, largest)

    def _job(self, spot: _Spot, *calls: Any) -> _Job:
        """The job of the agent that the spot names, brought up to date with its times and calls."""
        job = self._jobs.setdefault((spot.session, spot.agent), _Job(spot, spot.at))
        job.include(spot)
        job.calls.update((spot.at, call) for call in calls if isinstance(call, str))
        return job

    def _instant(self, record: _Record) -> datetime | None:
        text = record.get("timestamp")
        if text is None:
            return None
        try:
            instant = datetime.fromisoformat(text)
            if instant.tzinfo and events.EARLIEST <= instant <= self._latest:
                return instant.astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            pass
        raise _UnreadableError(f"timestamp: is no possible time: {shown(text)}")

    def rows(self) -> Iterator[tuple[_Spot, _Record]]:
        """The usage events as mappings of field names, the jobs first."""
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

    def _job_row(self, key: tuple[str, str], job: _Job, agent_type: str) -> _Record:
        session, agent = key
        span = self._sessions[session]
        return {
            "kind": events.JOB,
            "occurredAt": job.first.at,
            **_told(session, agent, agent_type),
            "runStartedAt": span.first.at,
            "runFinishedAt": span.last,
            "jobStatus": _job_status(agent, job),
            "jobStartedAt": job.first.at,
            "jobFinishedAt": job.last,
        }


def _job_status(agent: str, job: _Job) -> str:
    """Of several results the one that the ledger lets stand; without one no end of the subagent is known."""
    if not agent:
        return "succeeded"
    return max(job.statuses, key=events.STATUSES.index, default="running")


def _told(session: str, agent: str, agent_type: str) -> _Record:
    return {"runId": session, "trigger": "manual", "jobId": agent or MAIN, "agentType": agent_type}


def _deduction_row(event_id: str, response: _Response, agent_type: str) -> _Record:
    spot = response.first
    _, counts, model = response.largest
    return {
        "eventId": event_id,
        "occurredAt": spot.at,
        **_told(spot.session, spot.agent, agent_type),
        "model": model,
        **dict(zip(events.TOKEN_FIELDS, counts, strict=True)),
    }


def _event_id(message_id: str, request: str) -> str:
    """The ids of the response; what would be too long to be an event id is named by its hash."""
    if not message_id:
        raise _UnreadableError("message.id: is missing")
    event_id = f"{message_id}:{request}" if request else message_id
    if len(event_id) <= events.ID_LENGTH - _SUFFIX_ROOM:
        return event_id
    return "sha256:" + hashlib.sha256(event_id.encode("utf-8", "surrogatepass")).hexdigest()


def _nested(record: _Record) -> tuple[str, _Record] | None:
    """The subagent and its record that a progress record holds, if it holds one."""
    data = record.get("data")
    if record.get("type") != "progress" or not isinstance(data, dict) or data.get("type") != "agent_progress":
        return None
    agent, nested = _text(data, "agentId"), data.get("message")
    if not agent or not isinstance(nested, dict):
        raise _UnreadableError("data: agent_progress without an agentId or a message")
    return agent, nested


def _text(record: _Record, field: str) -> str:
    value = record.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _UnreadableError(f"{field}: must be text, not {shown(value)}")
    return value


def _blocks(message: Any) -> list[_Record]:
    content = message.get("content") if isinstance(message, dict) else None
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _tokens(usage: Any) -> Tokens:
    if not isinstance(usage, dict):
        raise _UnreadableError("message.usage: is no object")
    if usage.get("input_tokens") is None or usage.get("output_tokens") is None:
        raise _UnreadableError("message.usage: has no input_tokens or no output_tokens")
    by_duration = usage.get("cache_creation")
    if by_duration is not None and not isinstance(by_duration, dict):
        raise _UnreadableError("message.usage.cache_creation: is no object")
    tokens = Tokens(
        input=_count(usage, "input_tokens"),
        cache_read=_count(usage, "cache_read_input_tokens"),
        cache_write=_count(usage, "cache_creation_input_tokens"),
        cache_write_1h=_count(by_duration or {}, "ephemeral_1h_input_tokens"),
        output=_count(usage, "output_tokens"),
    )
    if tokens.cache_write_1h > tokens.cache_write:
        raise _UnreadableError("message.usage: more tokens were cached for an hour than were cached")
    return tokens


def _count(counts: _Record, field: str) -> int:
    value = counts.get(field)
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value <= events.MAX_TOKENS:
        raise _UnreadableError(f"{field}: must be a whole number from 0 to 10¹², not {shown(value)}")
    return value
