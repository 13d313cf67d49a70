"""An agent of LangChain with a tool, and a model without an agent. The former has to be named."""

from typing import Any

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from workload import tracing


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Sunny in {city}"


def ask_all() -> None:
    """Make five calls: one plain, one streamed, one with the Responses API, two of the agent."""
    with tracing.agent("Forecaster"):
        ChatOpenAI(model="gpt-4o-mini").invoke("Hello")
        for _ in ChatOpenAI(model="gpt-4o-mini", stream_usage=True).stream("Hello"):
            pass
        ChatOpenAI(model="gpt-5-mini", use_responses_api=True).invoke("Hello")
        agent: Any = create_agent(ChatOpenAI(model="gpt-4o-mini"), [get_weather])
        order = 'TOOL get_weather {"city": "Paris"} END'
        agent.invoke({"messages": [{"role": "user", "content": order}]})
