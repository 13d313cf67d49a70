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
from litellm.integrations.generic_api.generic_api_callback import GenericAPILogger

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


async def _ask(otel: bool, generic: bool) -> None:
    # Started by its name, as the proxy does it, the callback sends nothing outside of the proxy.
    logger = GenericAPILogger() if generic else None
    litellm.callbacks = [*(["otel"] if otel else []), *([logger] if logger else [])]
    await _ask_each()
    await asyncio.sleep(3)  # until they have been told of the last call
    if logger:
        await logger.flush_queue()


async def _ask_each() -> None:
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


def ask_all(otel: bool = False, generic: bool = False) -> None:
    """Make eight calls that the callbacks report."""
    asyncio.run(_ask(otel, generic))
