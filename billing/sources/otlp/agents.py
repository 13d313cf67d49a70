"""The name of the agent that a span is, or that it names."""

from billing.events.usage_event import EventError
from billing.sources.otlp import claude_code, span_kinds
from billing.sources.otlp.attributes import Attributes, text
from products.agent_types import slug_of
from products.printable import printable

AGENT = "gen_ai.agent.name"
OPENINFERENCE_AGENT = "agent.name"
QWEN_SUBAGENT = "subagent_name"
AI_SDK_FUNCTION = "operation.name"
COPILOT_AGENT = "github.copilot.agent.type"
"""What Copilot's spans of agents have. Its main agent has no name but that of the service."""
ATTRIBUTES = (AGENT, OPENINFERENCE_AGENT, QWEN_SUBAGENT, AI_SDK_FUNCTION, COPILOT_AGENT)

_AGENT_KINDS = (
    (span_kinds.OPENINFERENCE_KIND, "AGENT"),
    (span_kinds.LANGFUSE_TYPE, "agent"),
    (span_kinds.MLFLOW_TYPE, "AGENT"),
)


def agent_name(name: str, attributes: Attributes, service: str) -> str:
    """The agent that the span `name` of a `service` names, "" for none."""
    stated = AGENT
    # In other spans `agent.name` may be a monitoring agent.
    if AGENT not in attributes and span_kinds.OPENINFERENCE_KIND in attributes:
        stated = OPENINFERENCE_AGENT
    value = attributes.get(stated, "")
    if not isinstance(value, str) or "\0" in value:
        raise EventError(stated, f"must be text without NUL, not {printable(value)}")
    return slug_of(value or _implied(name, attributes, service).replace("\0", ""))


def _implied(name: str, attributes: Attributes, service: str) -> str:
    for attribute, kind in _AGENT_KINDS:
        if attribute in attributes and text(attributes, attribute) == kind:
            return name
    if span_kinds.AI_SDK_OPERATION in attributes:  # "ai.generateText answer-question"
        return text(attributes, AI_SDK_FUNCTION).partition(" ")[2]
    if name == claude_code.LLM_REQUEST:
        return claude_code.agent_name(attributes)
    if COPILOT_AGENT in attributes:
        return service
    return text(attributes, QWEN_SUBAGENT)
