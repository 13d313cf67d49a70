"""Anthropic's SDK sends spans of its own as soon as there is a tracer provider."""

from workload import claude, tracing

tracing.start()
with tracing.agent("Forecaster"):
    claude.ask_all()
