"""Reading the lines of all logs, and what they come to."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from billing.events import usage_event
from billing.events.usage_event import Rejection, Tokens, UsageEvent
from billing.sources import BrokenFile, Context, Item, Note, Skipped, SourceFile
from billing.sources.agent_logs import CLAUDE_CODE, agent_of_log
from billing.sources.claude_code.jobs import Jobs
from billing.sources.claude_code.records import (
    LogSource,
    Spot,
    blocks_of,
    is_side_question,
    log_source,
    nested_record,
)
from billing.sources.claude_code.responses import Call, Responses, figures
from billing.sources.claude_code.usage import factors_of, parts_of, tokens_of
from billing.sources.json_lines import (
    Record,
    UnreadableLine,
    decode_record,
    instant_of,
    read_file,
    text_of,
)
from billing.sources.usage_events import read_row

NAME = "claude_code"

_SYNTHETIC = "<synthetic>"
"""The model of the placeholder for an API error."""


def parse(files: list[SourceFile], context: Context) -> Iterator[Item]:
    log = _Log(context.now + usage_event.LATEST_AHEAD)
    for file in sorted(files, key=lambda file: file.name):
        yield from _read(file, context, log)
    yield from log.items(context)


def _read(file: SourceFile, context: Context, log: "_Log") -> Iterator[Item]:
    source = log_source(file.name)
    if source.is_description:
        yield from _read_description(file, source, log)
    elif source.is_journal:
        yield from read_file(file, context, lambda _, line: log.jobs.read_journal(source, line))
    elif (agent := agent_of_log(file)) not in (None, CLAUDE_CODE):
        reason = f"this is a log of {agent}, not of Claude Code; nothing of it is read"
        yield Item(f"{file.name}:1", Rejection(reason=reason))
    else:
        yield from read_file(file, context, partial(log.read_line, source))


def _read_description(file: SourceFile, source: LogSource, log: "_Log") -> Iterator[Item]:
    try:
        text = b"\n".join(line for _, line in file.lines())
        log.jobs.read_description(source, decode_record(text))
    except UnreadableLine as error:
        yield Item(f"{file.name}:1", Skipped(reason=str(error)))
    except BrokenFile as broken:
        yield Item(f"{file.name}:{broken.line}", Rejection(reason=broken.reason))


class _Log:
    """What the lines of all files say, in a form that does not depend on their order."""

    def __init__(self, latest: datetime) -> None:
        self._latest = latest
        self.jobs = Jobs()
        self._responses = Responses()

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
        is_replay = is_side_question(agent) or is_side_question(source.agent)
        spot = Spot(at, is_replay, source.name, not agent, agent, session, line)
        self.jobs.add_session(spot)
        self.jobs.read_notification(session, record)
        if nested:
            self._read_nested(spot, record.get("parentToolUseID"), nested[1])
        else:
            self._read_own(spot, record)

    def _read_nested(self, around: Spot, call: Any, record: Record) -> None:
        # The nested record has the time of the response; the one around it is written later.
        spot = msgspec.structs.replace(around, at=self._instant(record) or around.at)
        self.jobs.add(spot, call)
        self._read_own(spot, record)

    def _read_own(self, spot: Spot, record: Record) -> None:
        """Read a record of the agent that the spot names."""
        message = record.get("message")
        self.jobs.read_record(spot, record, blocks_of(message))
        if record.get("type") == "assistant" or (isinstance(message, dict) and "usage" in message):
            self._read_response(spot, message, record)

    def _read_response(self, spot: Spot, message: Any, record: Record) -> None:
        if not isinstance(message, dict):
            raise UnreadableLine("message: must be an object")
        model = text_of(message, "model")
        if model == _SYNTHETIC:
            return
        message_id = text_of(message, "id")
        if not message_id:
            raise UnreadableLine("message.id: is missing")
        usage = message.get("usage")
        tokens, warning = tokens_of(usage)
        found = figures(tokens, factors_of(usage), model, warning)
        request = text_of(record, "requestId")
        where = self._true_session(spot, text_of(record, "requestSessionId"))
        report = self._responses.add(message_id, request, where, found, is_replay=spot.is_copy)
        parts, problems = parts_of(usage, model)
        for part in parts:
            report.add_part(part)
        if problems:
            raise UnreadableLine("; ".join(problems))

    def _true_session(self, spot: Spot, session: str) -> Spot:
        """Where a response belongs: a fork copies its parent's responses and names the parent."""
        if not session or session == spot.session:
            return spot
        where = msgspec.structs.replace(spot, session=session, is_copy=True)
        self.jobs.add_session(where)
        self.jobs.add(where).has_records = True
        return where

    def _instant(self, record: Record) -> datetime | None:
        text = record.get("timestamp")
        if text is None:
            return None
        return instant_of(text, self._latest)

    def items(self, context: Context) -> Iterator[Item]:
        """Yield the usage events, the jobs first."""
        self.jobs.settle()
        for spot, row in self.jobs.rows():
            yield Item(f"{spot.file}:{spot.line}", read_row(row, context))
        for call in self._responses.calls():
            yield from self._deduction(call, context)

    def _deduction(self, call: Call, context: Context) -> Iterator[Item]:
        spot, found = call.first, call.largest
        origin = f"{spot.file}:{spot.line}"
        row = {
            "eventId": call.event_id,
            "occurredAt": spot.at,
            **self.jobs.fields(spot.session, spot.agent),
            "model": found.model,
            **dict(zip(usage_event.TOKEN_FIELDS, found.counts, strict=True)),
        }
        event = read_row(row, context)
        if isinstance(event, UsageEvent):
            event = msgspec.structs.replace(
                event,
                call_ids=call.call_ids,
                factors=found.factors,
                sender=NAME,
                part=call.part,
                opening=Tokens(*call.opening.counts),
                call_started_at=event.occurred_at,
                is_agents_own=True,
            )
        yield Item(origin, event)
        if found.warning:
            yield Item(origin, Note(text=found.warning))
