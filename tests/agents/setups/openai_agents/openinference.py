"""OpenInference's instrumentation of OpenAI's Agents SDK."""

from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor
from workload import tracing
from workload.agents_sdk import ask_all

OpenAIAgentsInstrumentor().instrument(tracer_provider=tracing.start())
ask_all()
