"""How subagents ended according to results, notifications, journals of workflows."""

import re
from typing import Any

from billing.sources.claude_code.records import blocks_of
from billing.sources.json_lines import Record, text_of
from products.statuses import CANCELLED, FAILED, RUNNING, SUCCEEDED

_STATUSES = {
    "completed": SUCCEEDED,
    "failed": FAILED,
    "error": FAILED,
    "cancelled": CANCELLED,
    "killed": CANCELLED,
    "stopped": CANCELLED,
}
_NOTIFICATION = "<task-notification>"
_OWN_WORDS = re.compile("<(?:summary|note|result)>")
"""Where a notification begins to hold what the agent wrote."""
_TAG = re.compile(r"<(task-id|status)>([^<]*)</\1>")
_NAMED_AGENT = re.compile(r"^agentId: ([\w-]+)", re.MULTILINE)
"""The agent's own words are indented, so they can't name another agent."""
_LAUNCHED = "Async agent launched"


def status_of(reported: Any) -> str:
    return _STATUSES.get(reported, RUNNING) if isinstance(reported, str) else RUNNING


def notification_of(record: Record) -> tuple[str, str] | None:
    """The task and status that a notification in the record reports; a subagent's task id is its own id."""
    if record.get("type") == "queue-operation":
        text = record.get("content")
    elif _is_notified(record):
        text = _text_in(record.get("message"))
    else:
        return None
    if not isinstance(text, str) or not text.lstrip().startswith(_NOTIFICATION):
        return None
    tags = dict(_TAG.findall(_OWN_WORDS.split(text, maxsplit=1)[0]))
    return (tags["task-id"], status_of(tags["status"])) if tags.keys() >= {"task-id", "status"} else None


def _is_notified(record: Record) -> bool:
    origin = record.get("origin")
    return isinstance(origin, dict) and origin.get("kind") == "task-notification"


def _text_in(holder: Any) -> str:
    """The text in the content of a message or a block."""
    content = holder.get("content") if isinstance(holder, dict) else None
    if isinstance(content, str):
        return content
    return "\n".join(text for block in blocks_of(holder) if isinstance(text := block.get("text"), str))


def results_of(blocks: list[Record]) -> list[tuple[str, str, str]]:
    """(tool use id, agent if it is named, status) of each result that an outer agent received."""
    return [
        (call, *_ending(block))
        for block in blocks
        if block.get("type") == "tool_result" and isinstance(call := block.get("tool_use_id"), str)
    ]


def _ending(result: Record) -> tuple[str, str]:
    text = _text_in(result)
    named = _NAMED_AGENT.search(text)
    if text.startswith(_LAUNCHED):
        status = RUNNING
    else:
        status = FAILED if result.get("is_error") is True else SUCCEEDED
    return named[1] if named else "", status


def agent_that_ended(journal_line: Record) -> str:
    """The agent that a result in a workflow's journal is of; "" for other lines."""
    return text_of(journal_line, "agentId") if journal_line.get("type") == "result" else ""
