"""MLflow's autologging of both SDKs, exported over OTLP."""

import os

os.environ["ANTHROPIC_OPEN_TELEMETRY"] = "false"
os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = os.environ["PRODUCT"] + "/v1/traces"

import mlflow  # it reads the variables
from workload import claude, gpt

mlflow.openai.autolog()
mlflow.anthropic.autolog()


@mlflow.trace(name="Forecaster", span_type="AGENT")
def forecast() -> None:
    gpt.ask_all()
    claude.ask_all()


forecast()
mlflow.flush_trace_async_logging()
