"""Calls with OpenAI's SDK: chats and responses, plain and streamed, with a tool, and an embedding."""

import asyncio
from typing import Any

import openai

MINI, GPT_5 = "gpt-4o-mini", "gpt-5-mini"
HELLO: Any = [{"role": "user", "content": "Hello"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}


def ask_chats(client: Any) -> None:
    """Make four calls."""
    client.chat.completions.create(model=MINI, messages=HELLO)
    client.chat.completions.create(model=GPT_5, messages=HELLO)
    options = {"include_usage": True}
    for _ in client.chat.completions.create(model=MINI, messages=HELLO, stream=True, stream_options=options):
        pass
    order: Any = [{"role": "user", "content": 'TOOL get_weather {"city": "Paris"} END'}]
    client.chat.completions.create(model=MINI, messages=order, tools=[TOOL])


def embed(client: Any) -> None:
    client.embeddings.create(model="text-embedding-3-small", input="Hello")


def ask_responses(client: Any) -> None:
    """Make two calls."""
    client.responses.create(model=GPT_5, input="Hello")
    for _ in client.responses.create(model=GPT_5, input="Hello", stream=True):
        pass


async def _ask_async() -> None:
    async with openai.AsyncOpenAI() as client:
        await client.chat.completions.create(model=MINI, messages=HELLO)


def ask_all() -> None:
    """Make seven calls."""
    client = openai.OpenAI()
    ask_chats(client)
    ask_responses(client)
    asyncio.run(_ask_async())
