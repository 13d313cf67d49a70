"""OpenInference's instrumentations of OpenAI's Agents SDK and of the SDK below it: each call twice."""

from openinference.instrumentation.openai import OpenAIInstrumentor
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor
from workload import tracing
from workload.agents_sdk import ask_all

provider = tracing.start()
OpenAIAgentsInstrumentor().instrument(tracer_provider=provider)
OpenAIInstrumentor().instrument(tracer_provider=provider)
ask_all()
