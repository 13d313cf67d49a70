"""Single records of Claude Code session logs: what a file's name and a line say."""

from datetime import datetime
from pathlib import PurePath
from typing import Any

import msgspec

from billing.sources.json_lines import Record, UnreadableLine, stem_of, text_of
from products.printable import printable


class Spot(msgspec.Struct, frozen=True, order=True):
    """Where and when a record was found, and its agent. Of several copies, the least one counts.

    `is_main` comes before the agent: of two copies with the same instant and file, the one that names
    a subagent knows more.
    """

    at: datetime
    is_copy: bool
    file: str
    is_main: bool
    agent: str
    session: str
    line: int


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

    @property
    def is_description(self) -> bool:
        """Whether it is the one object that describes a subagent, not a log."""
        return self.stem.endswith(_DESCRIPTION)

    @property
    def is_journal(self) -> bool:
        """Whether it is the journal of a workflow, beside the logs of the workflow's agents."""
        folders = PurePath(self.name).parts[:-1]
        return self.stem == "journal" and "subagents" in folders and folders[-2:-1] == ("workflows",)


def is_side_question(agent: str) -> bool:
    """Whether the agent answers a question beside the session's work; its log replays the session's."""
    return agent.startswith("aside")


_DESCRIPTION = ".meta.json"


def log_source(name: str) -> LogSource:
    stem = stem_of(name)
    agent = stem.removeprefix("agent-").removesuffix(_DESCRIPTION)
    for folder in PurePath(name).parents:
        if folder.name == "subagents":
            return LogSource(name, stem, folder.parent.name.removeprefix(".."), agent)
    if stem.startswith("agent-"):  # older versions put subagents' files beside the sessions'
        return LogSource(name, stem, "", agent)
    return LogSource(name, stem, stem, "")


def nested_record(record: Record) -> tuple[str, Record] | None:
    """The subagent and its record that a progress record contains, if any. Raises `UnreadableLine`."""
    data = record.get("data")
    if record.get("type") != "progress" or not isinstance(data, dict):
        return None
    nested = data.get("message")
    if data.get("type") != "agent_progress":
        if isinstance(nested, dict) and _has_usage(nested.get("message")):
            raise UnreadableLine(f"data: has usage, but is of no known type: {printable(data.get('type'))}")
        return None
    agent = text_of(data, "agentId")
    if not agent or not isinstance(nested, dict):
        raise UnreadableLine("data: agent_progress without an agentId or a message")
    return agent, nested


def _has_usage(message: Any) -> bool:
    return isinstance(message, dict) and isinstance(message.get("usage"), dict)


def blocks_of(message: Any) -> list[Record]:
    content = message.get("content") if isinstance(message, dict) else None
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
