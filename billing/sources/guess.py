"""Guessing the format of a file from its first lines."""

from billing.json_decoding import InvalidJSON, decode
from billing.sources import BrokenFile, claude_code, codex, litellm, usage_events
from billing.sources.agent_logs import CLAUDE_CODE, CODEX, agent_of_record
from billing.sources.files import LogFile

_LINES = 50
_BEGINNING = 64 * 1024
"""Bytes of an array that are searched for the names that its objects use."""
_USAGE_EVENT_KEYS = {"eventId", "occurredAt", "kind"}
_CODEX_KEYS = {"timestamp", "type", "payload"}
_READ_AGENTS = {CLAUDE_CODE, CODEX}
_LITELLM_KEYS = ({"request_id", "spend"}, {"id", "response_cost"})
"""Of a spend log, and of what a callback sends."""


def guess_format(file: LogFile) -> str | None:
    """Return the name of the format, or None if the first lines don't show it."""
    beginning = b""
    try:
        for number, line in file.lines():
            found = _format_of(line) if line.strip() else None
            if found:
                return found
            beginning += line[: _BEGINNING - len(beginning)]
            if number >= _LINES:
                break
    except BrokenFile:
        pass
    return _format_of_array(beginning) or (usage_events.NAME if ".csv" in file.path.suffixes else None)


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
    if value.keys() >= _CODEX_KEYS:
        return codex.NAME
    return litellm.NAME if any(value.keys() >= keys for keys in _LITELLM_KEYS) else None


def _format_of_array(beginning: bytes) -> str | None:
    """An array takes one line or thousands: its beginning is searched, not decoded."""
    if beginning.lstrip()[:1] != b"[":
        return None
    found = any(all(b'"%s"' % key.encode() in beginning for key in keys) for keys in _LITELLM_KEYS)
    return litellm.NAME if found else None
