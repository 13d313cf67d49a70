"""Claude Code's own spans. Runs and jobs have the ids that its session logs give them."""

from billing.sources.json_lines import MAIN
from billing.sources.otlp.attributes import Attributes, count, first_text, text
from billing.sources.otlp.counts import Counts

LLM_REQUEST = "claude_code.llm_request"
"""The name of the spans that call a model."""

AGENT_ID = "agent_id"
REQUEST_ID = "request_id"
SOURCE = ("query_source_safe", "query_source")
INPUT, OUTPUT = ("input_tokens",), ("output_tokens",)
CACHE_READ, CACHE_WRITE = ("cache_read_tokens",), ("cache_creation_tokens",)
ATTRIBUTES = (AGENT_ID, REQUEST_ID, *SOURCE, *INPUT, *OUTPUT, *CACHE_READ, *CACHE_WRITE)

_BUILT_IN = "agent.builtin."


def counts(attributes: Attributes) -> Counts | None:
    """As versions before the GenAI conventions wrote them, without the caches in the input."""
    if "span.type" not in attributes:
        return None
    whole, output = count(attributes, INPUT), count(attributes, OUTPUT)
    read, write = count(attributes, CACHE_READ), count(attributes, CACHE_WRITE)
    if whole is None and output is None and read is None and write is None:
        return None
    return Counts(
        input=whole or 0,
        output=output or 0,
        cache_read=read or 0,
        cache_write=write or 0,
        excludes_caches=True,
    )


def job_id(attributes: Attributes) -> str:
    return text(attributes, AGENT_ID) or MAIN


def agent_name(attributes: Attributes) -> str:
    """The type of the agent that called; "" where it is one of the user's own, which has no name here."""
    if AGENT_ID not in attributes:
        return MAIN
    source = first_text(attributes, SOURCE)
    return source.removeprefix(_BUILT_IN) if source.startswith(_BUILT_IN) else ""
