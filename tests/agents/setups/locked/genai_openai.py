"""OpenTelemetry's own instrumentation of OpenAI's SDK."""

from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from workload import gpt, tracing

tracing.start()
OpenAIInstrumentor().instrument()
with tracing.agent("Forecaster"):
    gpt.ask_all()
