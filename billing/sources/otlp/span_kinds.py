"""Which spans call a model, by the attribute in which each dialect says what a span is.

Agents, workflows and the functions of an SDK repeat the sums of the calls below them: only spans that call a
model themselves are billed.
"""

from collections.abc import Iterable
from enum import Enum, auto

import msgspec

from billing.sources.otlp.attributes import Attributes, text

OPERATION = "gen_ai.operation.name"
OPENINFERENCE_KIND = "openinference.span.kind"
REQUEST_TYPE = "llm.request.type"  # OpenLLMetry, before it named operations
AI_SDK_OPERATION = "ai.operationId"
LANGFUSE_TYPE = "langfuse.observation.type"
MLFLOW_TYPE = "mlflow.spanType"
CLAUDE_CODE_TYPE = "span.type"


class SpanKind(Enum):
    MODEL_CALL = auto()
    OTHER = auto()
    """Known not to call a model: an agent, a tool, a chain. Its token counts repeat those of other spans."""
    UNKNOWN = auto()


class Vocabulary(msgspec.Struct, frozen=True):
    """The values of one attribute. `ends` are endings of values that mean a model call."""

    attribute: str
    calls: frozenset[str]
    others: frozenset[str] = frozenset()
    starts_of_others: tuple[str, ...] = ()
    ends_of_calls: tuple[str, ...] = ()

    def kind(self, value: str) -> SpanKind:
        if value in self.calls or value.endswith(self.ends_of_calls):
            return SpanKind.MODEL_CALL
        if value in self.others or value.startswith(self.starts_of_others):
            return SpanKind.OTHER
        return SpanKind.UNKNOWN


def _litellm(names: Iterable[str]) -> frozenset[str]:
    """LiteLLM names an operation after its function, of which each has an asynchronous twin."""
    return frozenset(prefix + name for name in names for prefix in ("", "a"))


_LITELLM_CALLS = _litellm(
    ("completion", "text_completion", "embedding", "responses", "generate_content", "generate_content_stream")
) | {"anthropic_messages"}
_SDK_CALLS = frozenset(
    {
        *("invoke_model", "invoke_model_with_response_stream", "converse", "converse_stream"),
        *("create_response", "create_completion", "create_chat_completion"),
        *("create_embedding", "create_embeddings"),
    }
)
"""Functions of providers' SDKs, of which some instrumentations make operations."""

VOCABULARIES = (
    Vocabulary(
        OPERATION,
        _LITELLM_CALLS | _SDK_CALLS | {"chat", "embeddings", "call_llm"},
        # Gemini CLI's names of agents and tools.
        frozenset({"agent_call", "tool_call", "schedule_tool_calls"}),
        # Whole nouns: `invoke_model` and `create_response` call a model.
        starts_of_others=tuple(
            f"{verb}_{noun}"
            for verb in ("invoke", "create", "execute")
            for noun in (
                *("agent", "subagent", "workflow", "swarm", "graph", "team", "crew", "chain"),
                *("tool", "function", "task", "step", "node", "event_loop"),
            )
        ),
    ),
    Vocabulary(
        OPENINFERENCE_KIND,
        frozenset({"LLM", "EMBEDDING"}),
        frozenset({"AGENT", "CHAIN", "TOOL", "RETRIEVER", "GUARDRAIL", "EVALUATOR", "PROMPT"}),
    ),
    Vocabulary(REQUEST_TYPE, _LITELLM_CALLS | {"chat"}),
    Vocabulary(
        AI_SDK_OPERATION,
        frozenset(),
        frozenset(
            f"ai.{function}"
            for function in (
                *("generateText", "streamText", "generateObject", "streamObject"),
                *("embed", "embedMany", "toolCall"),
            )
        ),
        ends_of_calls=(".doGenerate", ".doStream", ".doEmbed"),
    ),
    Vocabulary(
        LANGFUSE_TYPE,
        frozenset({"generation", "embedding"}),
        frozenset({"span", "event", "agent", "tool", "chain", "retriever", "evaluator", "guardrail"}),
    ),
    Vocabulary(
        MLFLOW_TYPE,
        frozenset({"CHAT_MODEL", "LLM", "EMBEDDING"}),
        frozenset({"AGENT", "CHAIN", "TOOL", "RETRIEVER", "PARSER", "WORKFLOW", "TASK", "EVALUATOR"}),
    ),
    # A common name: the values of others say nothing.
    Vocabulary(
        CLAUDE_CODE_TYPE, frozenset({"llm_request"}), frozenset({"interaction", "tool", "tool.execution"})
    ),
)
ATTRIBUTES = tuple(vocabulary.attribute for vocabulary in VOCABULARIES)

NAMES_OF_OTHERS = frozenset(
    {
        "raw_gen_ai_request",  # LiteLLM: the same call as the span above it
        "session_task.turn",  # Codex: the sum of a turn
    }
)


def span_kind(name: str, attributes: Attributes) -> SpanKind:
    """What a span is, by the first attribute whose value is known."""
    is_named = False
    for vocabulary in VOCABULARIES:
        if vocabulary.attribute in attributes:
            is_named = True
            kind = vocabulary.kind(text(attributes, vocabulary.attribute))
            if kind is not SpanKind.UNKNOWN:
                return kind
    if name in NAMES_OF_OTHERS:
        return SpanKind.OTHER
    is_call = not is_named and any(attribute.startswith("llm.token_count.") for attribute in attributes)
    return SpanKind.MODEL_CALL if is_call else SpanKind.UNKNOWN
