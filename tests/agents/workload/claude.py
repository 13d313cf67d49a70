"""Calls with Anthropic's SDK: plain, with both kinds of cache, streamed in two ways, with a tool."""

import asyncio
from typing import Any

import anthropic

SONNET = "claude-sonnet-4-5"
HELLO: Any = [{"role": "user", "content": "Hello"}]
FIVE_MINUTES: Any = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
ONE_HOUR: Any = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
TOOL: Any = {
    "name": "get_weather",
    "description": "The weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def ask_all(one_hour: bool = True) -> None:
    """Make seven calls, one of them with 1-hour writes if those are wanted."""
    client = anthropic.Anthropic()
    asked: Any = {"model": SONNET, "max_tokens": 100, "messages": HELLO}
    client.messages.create(**asked)
    client.messages.create(**asked, system=FIVE_MINUTES)
    client.messages.create(**asked, system=ONE_HOUR if one_hour else FIVE_MINUTES)
    for _ in client.messages.create(**asked, system=FIVE_MINUTES, stream=True):
        pass
    with client.messages.stream(**asked, system=FIVE_MINUTES) as stream:
        stream.get_final_message()
    order: Any = [{"role": "user", "content": 'TOOL get_weather {"city": "Paris"} END'}]
    client.messages.create(**{**asked, "messages": order}, tools=[TOOL])
    asyncio.run(_ask_async(asked))


async def _ask_async(asked: Any) -> None:
    async with anthropic.AsyncAnthropic() as client:
        await client.messages.create(**asked, system=FIVE_MINUTES)
