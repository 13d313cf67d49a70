"""Guessing the format of a file from its first lines."""

from typing import Any

from billing.json_decoding import InvalidJSON, decode
from billing.sources import BrokenFile, claude_code, codex, litellm, usage_events
from billing.sources.agent_logs import CLAUDE_CODE, CODEX, agent_of_record
from billing.sources.files import LogFile

_LINES = 50
_BEGINNING = 64 * 1024
"""Bytes of an array that are searched for the names that its objects use."""
_USAGE_EVENT_KEYS = {"eventId", "occurredAt", "kind"}
_READ_AGENTS = {CLAUDE_CODE, CODEX}
_CODEX_TYPES = {
    *("session_meta", "turn_context", "event_msg", "response_item"),
    *("compacted", "token_usage_record", "world_state", "inter_agent_communication"),
}
"""Other agents, too, write objects with a `timestamp`, `type` and `payload`."""
_LITELLM_KEYS = ({"request_id", "spend"}, {"id", "response_cost"}, {"litellm_call_id", "response_cost"})
"""Of a spend log, and of what a callback sends."""


def guess_format(file: LogFile) -> str | None:
    """Return the name of the format, or None if the first lines don't show it. Raises `BrokenFile`."""
    beginning, broken = b"", None
    try:
        for number, line in file.lines():
            found = _format_of(line) if line.strip() else None
            if found:
                return found
            beginning += line[: _BEGINNING - len(beginning)]
            if number >= _LINES and not (_is_array(beginning) and len(beginning) < _BEGINNING):
                break
    except BrokenFile as error:
        broken = error
    found = _format_of_array(beginning) or (usage_events.NAME if ".csv" in file.path.suffixes else None)
    if broken and not found:
        raise broken
    return found


def _format_of(line: bytes) -> str | None:
    try:
        value = decode(line)
    except InvalidJSON:
        header = {cell.strip(' "') for cell in line.decode("utf-8", "replace").split(",")}
        return usage_events.NAME if header & _USAGE_EVENT_KEYS else None
    if not isinstance(value, dict):
        return None
    agent = agent_of_record(value)
    if agent and agent not in _READ_AGENTS:
        return None
    if value.keys() & _USAGE_EVENT_KEYS:
        return usage_events.NAME
    if agent == CLAUDE_CODE:
        return claude_code.NAME
    if _is_codex(value):
        return codex.NAME
    return litellm.NAME if any(value.keys() >= keys for keys in _LITELLM_KEYS) else None


def _is_codex(value: dict[str, Any]) -> bool:
    kind = value.get("type")
    known = isinstance(kind, str) and kind in _CODEX_TYPES
    return known and isinstance(value.get("payload"), dict) and "timestamp" in value


def _is_array(beginning: bytes) -> bool:
    return beginning.lstrip()[:1] == b"["


def _format_of_array(beginning: bytes) -> str | None:
    """An array takes one line or thousands: its beginning is searched, not decoded."""
    if not _is_array(beginning):
        return None
    found = any(all(b'"%s"' % key.encode() in beginning for key in keys) for keys in _LITELLM_KEYS)
    return litellm.NAME if found else None
