"""OpenInference's instrumentation of OpenAI's SDK."""

from openinference.instrumentation.openai import OpenAIInstrumentor
from workload import gpt, tracing

tracing.start()
OpenAIInstrumentor().instrument()
with tracing.agent("Forecaster"):
    gpt.ask_all()
