"""OpenLLMetry's instrumentation of Anthropic's SDK."""

from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
from workload import claude, tracing

tracing.start()
AnthropicInstrumentor().instrument()
with tracing.agent("Forecaster"):
    claude.ask_all()
