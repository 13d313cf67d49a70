"""Single records of Claude Code session logs: what a file's name, a line and a message say."""

import hashlib
from pathlib import PurePath
from typing import Any

import msgspec

from billing.events import usage_event
from billing.events.usage_event import Tokens
from billing.sources.json_lines import Record, UnreadableLine, count_of, stem_of, text_of

_SUFFIX_ROOM = 20
"""Characters that `billing.ledger.running_totals` may append to an event id when the response has grown."""


class LogSource(msgspec.Struct, frozen=True):
    """What a file's name says about its records. If `session` is "", only the records name it."""

    name: str
    stem: str
    session: str
    agent: str

    def session_of(self, record: Record) -> str:
        return self.session or text_of(record, "sessionId") or self.stem

    def agent_of(self, record: Record) -> str:
        """The subagent that the record belongs to; "" for the main agent."""
        named = text_of(record, "agentId") if record.get("isSidechain") is True else ""
        return named or self.agent


def log_source(name: str) -> LogSource:
    path = PurePath(name)
    stem = stem_of(name)
    for folder in path.parents:
        if folder.name == "subagents":
            session = folder.parent.name.removeprefix("..")
            return LogSource(name, stem, session, stem.removeprefix("agent-"))
    if stem.startswith("agent-"):  # older versions put subagents' files beside the sessions'
        return LogSource(name, stem, "", stem.removeprefix("agent-"))
    return LogSource(name, stem, stem, "")


def nested_record(record: Record) -> tuple[str, Record] | None:
    """The subagent and its record that a progress record contains, if any. Raises `UnreadableLine`."""
    data = record.get("data")
    if record.get("type") != "progress" or not isinstance(data, dict) or data.get("type") != "agent_progress":
        return None
    agent, nested = text_of(data, "agentId"), data.get("message")
    if not agent or not isinstance(nested, dict):
        raise UnreadableLine("data: agent_progress without an agentId or a message")
    return agent, nested


def blocks_of(message: Any) -> list[Record]:
    content = message.get("content") if isinstance(message, dict) else None
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def event_id_of(message_id: str, request: str) -> str:
    """The ids of the response, or their hash if they are too long for an event id."""
    if not message_id:
        raise UnreadableLine("message.id: is missing")
    event_id = f"{message_id}:{request}" if request else message_id
    if len(event_id) <= usage_event.ID_LENGTH - _SUFFIX_ROOM:
        return event_id
    return "sha256:" + hashlib.sha256(event_id.encode("utf-8", "surrogatepass")).hexdigest()


def tokens_of(usage: Any) -> Tokens:
    if not isinstance(usage, dict):
        raise UnreadableLine("message.usage: must be an object")
    if usage.get("input_tokens") is None or usage.get("output_tokens") is None:
        raise UnreadableLine("message.usage: has no input_tokens or no output_tokens")
    by_duration = usage.get("cache_creation")
    if by_duration is not None and not isinstance(by_duration, dict):
        raise UnreadableLine("message.usage.cache_creation: must be an object")
    tokens = Tokens(
        input=count_of(usage, "input_tokens"),
        cache_read=count_of(usage, "cache_read_input_tokens"),
        cache_write=count_of(usage, "cache_creation_input_tokens"),
        cache_write_1h=count_of(by_duration or {}, "ephemeral_1h_input_tokens"),
        output=count_of(usage, "output_tokens"),
    )
    if tokens.cache_write_1h > tokens.cache_write:
        raise UnreadableLine("message.usage: more tokens were cached for an hour than in total")
    return tokens
