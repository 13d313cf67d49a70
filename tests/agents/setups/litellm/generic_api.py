"""LiteLLM's generic API callback."""

import os

os.environ["GENERIC_LOGGER_ENDPOINT"] = os.environ["PRODUCT"] + "/api/v1/litellm"
os.environ["GENERIC_LOGGER_HEADERS"] = f"Authorization=Bearer {os.environ['INGEST_TOKEN']}"

import litellm  # it reads the variables
from workload.gateway import ask_all

litellm.callbacks = ["generic_api"]
ask_all()
