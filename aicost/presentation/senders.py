"""What to call those who report usage."""

from billing.sources import claude_code, codex, litellm
from billing.sources.otlp import SENDER_PREFIX

_NAMES = {
    "": "usage events",
    claude_code.NAME: "Claude Code’s logs",
    codex.NAME: "Codex’s logs",
    litellm.NAME: "LiteLLM",
}


def name_of(sender: str) -> str:
    """The sender of a usage event in words; an instrumentation by its scope."""
    return _NAMES.get(sender) or sender.removeprefix(SENDER_PREFIX)
