"""LiteLLM's generic API callback."""

from workload.gateway import ask_all

ask_all(generic=True)
