"""What the first line of a rollout says of its thread: whose it is, and what came before it."""

import msgspec

from billing.events.usage_event import ID_LENGTH
from billing.sources.foreign_ids import foreign_id
from billing.sources.json_lines import MAIN, Record, text_of

_DEFAULT_ROLE = "default"
"""Codex's own name for the role of a subagent that was started without one."""


class Thread(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    session: str
    """The id of the session's first thread, which is the user's."""
    agent_type: str = MAIN
    has_parent: bool = False
    """Whether it is a fork or subagent: the file may begin with a copy of its parent's history."""
    refers_to_history: bool = False
    """Whether the file names a place in its parent's file instead of copying the history up to it."""


def thread_of(meta: Record, name: str) -> Thread:
    """The thread of a file's `session_meta`; `name` is its id if the line has none."""
    id_ = foreign_id(text_of(meta, "id") or name, ID_LENGTH)
    session = foreign_id(text_of(meta, "session_id") or id_, ID_LENGTH)
    source = meta.get("source")
    subagent = source.get("subagent") if isinstance(source, dict) else None
    return Thread(
        id=id_,
        session=session,
        # Older versions named no session: there, each thread is a run of its own.
        agent_type=_agent_type(subagent) if subagent and session != id_ else MAIN,
        has_parent=bool(meta.get("forked_from_id") or meta.get("parent_thread_id") or subagent),
        refers_to_history=bool(meta.get("history_base")),
    )


def _agent_type(subagent: object) -> str:
    """The type in `review`, `{"other": "guardian"}` or `{"thread_spawn": {"agent_role": "explorer"}}`."""
    if isinstance(subagent, str):
        return subagent
    kind, details = next(iter(subagent.items())) if isinstance(subagent, dict) else ("", None)
    if kind == "thread_spawn":
        role = details.get("agent_role") if isinstance(details, dict) else None
        return role if role and isinstance(role, str) else _DEFAULT_ROLE
    return details if details and isinstance(details, str) else kind or _DEFAULT_ROLE
