"""Langfuse's SDK: its drop-in for OpenAI's, and a generation that the caller reports for Anthropic's."""

import os

os.environ["LANGFUSE_HOST"] = os.environ["LANGFUSE_BASE_URL"] = os.environ["PRODUCT"]
os.environ["LANGFUSE_PUBLIC_KEY"] = os.environ["LANGFUSE_SECRET_KEY"] = "none"
os.environ["ANTHROPIC_OPEN_TELEMETRY"] = "false"

import anthropic  # it reads the variables
from langfuse import Langfuse, get_client, observe
from langfuse.openai import openai
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from workload import claude, gpt

Langfuse(span_exporter=OTLPSpanExporter())


@observe(as_type="agent", name="Forecaster")
def forecast() -> None:
    client = openai.OpenAI()
    gpt.ask_chats(client)
    gpt.ask_responses(client)
    gpt.embed(client)
    ask_anthropic()


@observe(as_type="generation")
def ask_anthropic() -> None:
    message = anthropic.Anthropic().messages.create(
        model=claude.SONNET, max_tokens=100, messages=claude.HELLO, system=claude.FIVE_MINUTES
    )
    usage = message.usage
    get_client().update_current_generation(
        model=message.model,
        usage_details={
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cache_read_input_tokens": usage.cache_read_input_tokens or 0,
            "cache_creation_input_tokens": usage.cache_creation_input_tokens or 0,
        },
    )


forecast()
get_client().flush()
