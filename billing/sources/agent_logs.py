"""Which agent wrote a log: agents' logs resemble each other, and none may be read as another's."""

from collections.abc import Callable

from billing.json_decoding import InvalidJSON, decode
from billing.sources import BrokenFile, SourceFile
from billing.sources.json_lines import Record

CLAUDE_CODE = "Claude Code"
CODEX = "Codex"
_LINES = 50
"""That are searched for a record that only one agent writes."""


def agent_of_log(file: SourceFile) -> str | None:
    """The agent that wrote the file, as far as its first lines show."""
    try:
        for number, line in file.lines():
            found = agent_of_record(_decoded(line))
            if found or number >= _LINES:
                return found
    except BrokenFile:
        pass
    return None


def agent_of_record(record: object) -> str | None:
    if not isinstance(record, dict):
        return None
    return next((agent for agent, is_its in _AGENTS.items() if is_its(record)), None)


def _decoded(line: bytes) -> object:
    try:
        return decode(line)
    except InvalidJSON:
        return None


def _is_qwen_codes(record: Record) -> bool:
    """It has Claude Code's envelope, but Gemini's messages."""
    message = record.get("message")
    has_parts = isinstance(message, dict) and "parts" in message
    return "systemPayload" in record or "usageMetadata" in record or has_parts


def _is_gemini_clis(record: Record) -> bool:
    return "projectHash" in record or "$set" in record or (record.get("type") == "gemini" and "id" in record)


def _is_copilot_clis(record: Record) -> bool:
    kind = record.get("type")
    return isinstance(kind, str) and "." in kind and isinstance(record.get("data"), dict)


def _is_pis(record: Record) -> bool:
    if record.get("type") == "session":
        return "version" in record and "cwd" in record
    return record.get("type") == "message" and "parentId" in record


def _is_codexs(record: Record) -> bool:
    return record.keys() >= {"timestamp", "type", "payload"}


def _is_claude_codes(record: Record) -> bool:
    return "type" in record and bool(record.keys() & {"sessionId", "uuid", "parentUuid", "leafUuid"})


_AGENTS: dict[str, Callable[[Record], bool]] = {
    "Qwen Code": _is_qwen_codes,
    "Gemini CLI": _is_gemini_clis,
    "Copilot CLI": _is_copilot_clis,
    "pi": _is_pis,
    CODEX: _is_codexs,
    CLAUDE_CODE: _is_claude_codes,  # last: its keys are others', too
}
