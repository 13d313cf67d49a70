"""Calls through LiteLLM, to two providers."""

import asyncio
import os
from typing import Any

_AUTHORIZATION = f"Authorization=Bearer {os.environ['INGEST_TOKEN']}"
os.environ |= {
    "OTEL_EXPORTER": "otlp_http",
    "OTEL_ENDPOINT": os.environ["PRODUCT"] + "/v1/traces",
    "OTEL_EXPORTER_OTLP_HEADERS": _AUTHORIZATION,  # which LiteLLM doesn't decode
    "GENERIC_LOGGER_ENDPOINT": os.environ["PRODUCT"] + "/api/v1/litellm",
    "GENERIC_LOGGER_HEADERS": _AUTHORIZATION,
}

import litellm

HELLO: Any = [{"role": "user", "content": "Hello"}]
ONE_HOUR: Any = [
    {
        "role": "system",
        "content": [
            {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ],
    }
]
USAGE = {"include_usage": True}


async def _ask() -> None:
    for model in ("openai/gpt-4o-mini", "openai/gpt-5-mini", "anthropic/claude-sonnet-4-5"):
        await litellm.acompletion(model, HELLO)
    await litellm.acompletion("anthropic/claude-sonnet-4-5", ONE_HOUR + HELLO)
    stream: Any = await litellm.acompletion("openai/gpt-4o-mini", HELLO, stream=True, stream_options=USAGE)
    async for _ in stream:
        pass
    stream = await litellm.acompletion("anthropic/claude-sonnet-4-5", ONE_HOUR + HELLO, stream=True)
    async for _ in stream:
        pass
    await litellm.aembedding("openai/text-embedding-3-small", input=["Hello"])
    await litellm.aresponses(model="openai/gpt-5-mini", input="Hello")
    await asyncio.sleep(8)  # the callbacks send every few seconds


def ask_all(*callbacks: str) -> None:
    """Make eight calls that the callbacks report."""
    litellm.callbacks = list(callbacks)
    asyncio.run(_ask())
