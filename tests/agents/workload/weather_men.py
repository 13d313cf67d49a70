"""Three agents of Pydantic AI, each with a tool, for three APIs."""

import os
from typing import Any

from pydantic_ai import Agent, ModelSettings
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.providers.google import GoogleProvider

MODELS: Any = (
    "anthropic:claude-sonnet-4-5",
    "openai-chat:gpt-4o-mini",
    "openai-responses:gpt-5-mini",
    GoogleModel(
        "gemini-2.5-flash", provider=GoogleProvider(api_key="none", base_url=os.environ["FAKE_APIS"])
    ),
)


def ask_all() -> None:
    """Make nine calls: two of each agent, and one streamed."""
    Agent.instrument_all()
    for model in MODELS:
        agent = Agent(model, name="Forecaster", instructions="Be brief.")
        agent.tool_plain(get_weather)
        settings: Any = ModelSettings(**_cached(model))
        agent.run_sync('TOOL get_weather {"city": "Paris"} END', model_settings=settings)
    streaming = Agent("anthropic:claude-sonnet-4-5", name="Forecaster")
    streaming.run_stream_sync("Hello").get_output()


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Sunny in {city}"


def _cached(model: Any) -> dict[str, Any]:
    named = isinstance(model, str) and model.startswith("anthropic")
    return {"anthropic_cache_instructions": "1h"} if named else {}
