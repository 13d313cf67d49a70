"""Both callbacks at once: each call is told twice."""

import os

os.environ["OTEL_EXPORTER"] = "otlp_http"
os.environ["OTEL_ENDPOINT"] = os.environ["PRODUCT"] + "/v1/traces"
os.environ["OTEL_HEADERS"] = f"Authorization=Bearer {os.environ['INGEST_TOKEN']}"
os.environ["GENERIC_LOGGER_ENDPOINT"] = os.environ["PRODUCT"] + "/api/v1/litellm"
os.environ["GENERIC_LOGGER_HEADERS"] = f"Authorization=Bearer {os.environ['INGEST_TOKEN']}"

import litellm  # it reads the variables
from workload.gateway import ask_all

litellm.callbacks = ["otel", "generic_api"]
ask_all()
