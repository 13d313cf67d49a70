"""An agent of OpenAI's Agents SDK with a tool, over both APIs, plain and streamed."""

import asyncio
from typing import Any

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner, function_tool
from openai import AsyncOpenAI

ORDER = 'TOOL get_weather {"city": "Paris"} END'


@function_tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Sunny in {city}"


async def _ask() -> None:
    chats = OpenAIChatCompletionsModel("gpt-4o-mini", AsyncOpenAI())
    settings = ModelSettings(include_usage=True)
    for model in ("gpt-5-mini", chats):
        agent: Any = Agent(name="Forecaster", model=model, tools=[get_weather], model_settings=settings)
        await Runner.run(agent, ORDER)
        async for _ in Runner.run_streamed(agent, "Hello").stream_events():
            pass


def ask_all() -> None:
    """Make six calls: three with each API, the last of them streamed."""
    asyncio.run(_ask())
