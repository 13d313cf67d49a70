"""Both of LiteLLM's callbacks: each call is reported twice."""

from workload.gateway import ask_all

ask_all(otel=True, generic=True)
