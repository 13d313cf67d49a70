"""LiteLLM's `otel` callback."""

from workload.gateway import ask_all

ask_all(otel=True)
