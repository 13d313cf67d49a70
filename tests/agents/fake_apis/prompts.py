"""What a fake model does with a prompt: it calls a tool if the last text tells it to, else it says `Done.`.

Use TOOL get_weather {"city": "Paris"} END
"""

import json
import re
from dataclasses import dataclass
from typing import Any

ORDER = re.compile(r"TOOL (\S+) (\{.*?\}) END", re.DOTALL)
ANSWER = "Done."


@dataclass(frozen=True)
class ToolCall:
    name: str
    arguments: dict[str, Any]


def ordered(text: str) -> ToolCall | None:
    """The last tool call that `text` orders."""
    orders = ORDER.findall(text)
    return ToolCall(orders[-1][0], json.loads(orders[-1][1])) if orders else None


def text_of(content: Any) -> str:
    """The text in a message's content, in any of the APIs' forms. Results of tools are no text."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(text_of(part) for part in content)
    if isinstance(content, dict) and content.get("type") not in ("tool_result", "function_call_output"):
        return text_of(content.get("text") or content.get("parts") or content.get("content") or "")
    return ""
